// failpoint.ts - loaded before a peer (--import): puts death or a stop at one step of the library. Published code knows
// nothing of it: the step is a method, and its class is changed here.
//
//   SMC_TEST_FAILPOINT   CLASS.METHOD when nth action: before or after the nth call, kill or stop

import { report } from './lib.js';

type Methods = Record<string, (...args: unknown[]) => unknown>;

const MODULES: Readonly<Record<string, string>> = {
  SmcdAttempt: 'smcd/dist/smcd-client.js',
  SmcdEnvironment: 'smcd/dist/smcd-environment.js',
  LinkGroup: 'smcd/dist/link-group.js',
  SmcdChannel: 'smcd/dist/smcd-channel.js',
  Handshake: 'core/dist/socket/handshake.js',
  RingSender: 'core/dist/socket/ring-sender.js',
  RingStream: 'core/dist/socket/ring-stream.js',
  RingProducer: 'core/dist/ring/producer.js',
};

// What the library calls while it is loaded is no step of a connection.
await import('@smcjs/core');

const [point = '', when, nth, action] = (process.env.SMC_TEST_FAILPOINT ?? '').split(' ');
const [className = '', method = ''] = point.split('.');
const module = (await import(new URL(`../../../packages/${MODULES[className]}`, import.meta.url).href)) as Record<
  string,
  (Methods & { prototype: Methods }) | undefined
>;
const found = module[className];
const holder = found !== undefined && Object.hasOwn(found, method) ? found : found?.prototype;
const original = holder?.[method];
if (holder === undefined || original === undefined) throw new Error(`there is no ${point}`);

let calls = 0;
function hit(): void {
  report('failpoint', { point, when });
  process.kill(process.pid, action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
}

holder[method] = function step(this: unknown, ...args: unknown[]): unknown {
  const ours = ++calls === Number(nth);
  if (ours && when === 'before') hit();
  const result = original.apply(this, args);
  if (ours && when === 'after') hit();
  return result;
};
