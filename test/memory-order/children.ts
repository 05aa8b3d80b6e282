// children.ts - the Node versions that are installed, and the other processes of these tests.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { ROOT } from './places.js';

export const LONG = process.env.SMC_TEST_LONG === '1';
const OURS = Number(process.versions.node.split('.')[0]);

export interface NodeVersion {
  readonly name: string;
  readonly path: string;
  /** Why it is not tried, if so. */
  readonly missing: string | undefined;
}

/** The Node that runs this, and the others that are supported. */
export const NODES: readonly NodeVersion[] = [
  { name: `Node ${process.version}`, path: process.execPath, missing: undefined },
  ...[20, 22, 24, 26]
    .filter((version) => version !== OURS)
    .map((version) => {
      const path = fileURLToPath(new URL(`node_modules/node-${version}/bin/node`, ROOT));
      return { name: `Node ${version}`, path, missing: existsSync(path) ? undefined : `not installed: ${path}` };
    }),
];

/** Starts test/dist/memory-order/NAME.js; `descriptor`, if given, is its descriptor 3. Killed, at the latest, when the test ends. */
export function start(node: string, name: string, args: object, descriptor?: number): ChildProcess {
  const script = fileURLToPath(new URL(`test/dist/memory-order/${name}.js`, ROOT));
  const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !/^(VITEST|TEST$|NODE_OPTIONS$)/.test(variable)));
  const child = spawn(node, [script, JSON.stringify(args)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', ...(descriptor === undefined ? [] : [descriptor])],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** What a process has written when it has ended; rejects when it has failed. */
export function output(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code, signal) => (code === 0 ? resolve(text) : reject(new Error(`ended with ${code ?? signal}\n${text}`))));
  });
}
