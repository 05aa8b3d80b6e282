// places.ts - where things are: the repository, the Node versions that are installed, and the inside of the packages
// that has no export of its own. For tests as they are and for the compiled files that other processes run.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL(import.meta.url.includes('/test/dist/') ? '../../../' : '../../', import.meta.url);

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

type Segments = typeof import('../../packages/smcd/dist/segment.js');
type AddonModule = typeof import('../../packages/smcd/dist/addon.js');

export const segments = (): Promise<Segments> => import(new URL('packages/smcd/dist/segment.js', ROOT).href) as Promise<Segments>;

type Records = typeof import('../../packages/core/dist/ring/records.js');
export const recordsOf = (): Promise<Records> => import(new URL('packages/core/dist/ring/records.js', ROOT).href) as Promise<Records>;

/** The addon, or why there is none. */
export async function addon(): Promise<import('../../packages/smcd/dist/addon.js').Addon | string> {
  const { isDecline, loadAddon } = (await import(new URL('packages/smcd/dist/addon.js', ROOT).href)) as AddonModule;
  const loaded = loadAddon();
  return isDecline(loaded) ? loaded.detail : loaded;
}

/** Starts test/dist/memory-order/NAME.js; `descriptor`, if given, is its descriptor 3. */
export function start(node: string, name: string, args: object, descriptor?: number): ChildProcess {
  const script = fileURLToPath(new URL(`test/dist/memory-order/${name}.js`, ROOT));
  const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !/^(VITEST|TEST$|NODE_OPTIONS$)/.test(variable)));
  return spawn(node, [script, JSON.stringify(args)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', ...(descriptor === undefined ? [] : [descriptor])],
  });
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
