// terminated.test.ts - worker.terminate() in the middle of calls of the addons: only the worker ends, not its process.

import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** Workers that do nothing but call methods of objects of the addon, terminated one after the other. */
const PROGRAM = `
  import { Worker } from 'node:worker_threads';
  const [calling, count] = process.argv.slice(1);
  for (let i = 0; i < Number(count); i++) {
    const worker = new Worker(calling, { eval: true });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await new Promise((resolve) => setTimeout(resolve, i % 5));
    await worker.terminate();
  }
  console.log('all terminated');
`;

/** `object` is an expression; `call` calls a method of it. */
const calling = (module: string, object: string, call: string): string => `
  import { parentPort } from 'node:worker_threads';
  import * as module from ${JSON.stringify(module)};
  const object = ${object};
  parentPort.postMessage('calling');
  setImmediate(() => { for (;;) ${call}; });
`;

function run(worker: string, count: number): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, worker, String(count)]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

const ADDONS = [
  ['smcd', '../../packages/smcd/dist/addon.js', `new (module.loadAddon().Hub)(new Int32Array(64), () => {})`, 'object.detach(0)'],
  ['smcr', '../../packages/smcr/dist/verbs/addon.js', `new (module.loadAddon().Context)('none', () => {})`, 'object.queryPort(1)'],
] as const;

describe('a worker that is terminated', () => {
  it.each(ADDONS)('takes nobody along from within a call of the addon of %s', async (_name, module, object, call) => {
    const worker = calling(new URL(module, import.meta.url).href, object, call);
    expect(await run(worker, 60)).toEqual({ code: 0, output: 'all terminated\n' });
  });
});
