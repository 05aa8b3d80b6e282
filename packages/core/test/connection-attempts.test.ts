// connection-attempts.test.ts - a host with several addresses, one of which answers nothing: the next one is tried, in node's order, after
// node's time, with node's events.

import net, { type AddressInfo } from 'node:net';
import type { LookupAddress } from 'node:dns';
import { Worker } from 'node:worker_threads';
import { connect, createServer } from '../src/index.js';
import { expect, it, onTestFinished } from 'vitest';

const toLoopback = ((_host: string, { all }: { all?: boolean }, done: (...result: unknown[]) => void) =>
  void setImmediate(() =>
    all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  )) as unknown as net.LookupFunction;

const EVENTS = ['lookup', 'connectionAttempt', 'connectionAttemptTimeout', 'connectionAttemptFailed', 'connect', 'error'] as const;

/** A listener at this address whose backlog is full: nobody else gets an answer. */
async function blackHole(address: string, port: number): Promise<void> {
  const worker = new Worker(
    `const { parentPort, workerData: { address, port } } = require('node:worker_threads');
     require('node:net').createServer().listen({ port, host: address, backlog: 1 }, () => {
       parentPort.postMessage('listening');
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true, workerData: { address, port } },
  );
  onTestFinished(() => worker.terminate().then(() => {}));
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const waiting = Array.from({ length: 8 }, () => net.connect(port, address).on('error', () => {}));
  onTestFinished(() => waiting.forEach((socket) => void socket.destroy()));
  // A SYN that got an answer got it at once.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(waiting.some(({ connecting }) => connecting)).toBe(true);
}

/** All that a socket tells until it is connected or has failed. */
function told(socket: net.Socket): Promise<unknown[][]> {
  const seen: unknown[][] = [];
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve) => {
    for (const event of EVENTS) {
      socket.on(event, (...args: unknown[]) => {
        seen.push([event, ...args.map((arg) => (arg instanceof Error ? ((arg as NodeJS.ErrnoException).code ?? arg.name) : arg))]);
        if (event === 'connect' || event === 'error') resolve(seen);
      });
    }
  });
}

it('an address that does not answer is given up for the next one, and each is tried once, families in turns', async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await blackHole('127.0.0.2', port);
  const addresses: LookupAddress[] = [
    { address: '127.0.0.2', family: 4 },
    { address: '127.0.0.2', family: 4 },
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ];
  const lookup = ((_host: string, _options: unknown, done: (error: null, found: LookupAddress[]) => void) =>
    done(null, addresses)) as unknown as net.LookupFunction;
  const options = { host: 'several.example', port, lookup, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 50 };
  const ours = connect(options as never);
  const atOurs = await told(ours);
  expect(ours.transport).toBe('memory');
  const plain = net.connect(options);
  const atPlain = await told(plain);
  // Nobody listens on ::1, which comes between the other two.
  expect(atPlain.map(([event]) => event)).toContain('connectionAttemptTimeout');
  expect(atOurs).toEqual(atPlain);
  const attempted = (socket: net.Socket) =>
    (socket as { autoSelectFamilyAttemptedAddresses?: string[] }).autoSelectFamilyAttemptedAddresses;
  expect(attempted(ours)).toEqual(attempted(plain));
});

it.each(['listens', 'refuses'])('of a single address that %s it tells what node:net tells', async (what) => {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const to = what === 'listens' ? { port } : { port: 1 };
  for (const where of [{ host: '127.0.0.1' }, { host: 'single.example', lookup: toLoopback }]) {
    const ours = connect({ ...where, ...to } as never);
    const [atOurs, atPlain] = [await told(ours), await told(net.connect({ ...where, ...to }))];
    expect(atOurs).toEqual(atPlain);
    expect(atOurs.map(([event]) => event)).toContain('connectionAttempt');
    if (what === 'listens') expect(ours.transport).not.toBe('tcp');
  }
});

it('a listener of its events may destroy the socket: nothing is connected any more', async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  const seen: string[] = [];
  server.on('connection', () => seen.push('connection'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const addresses: LookupAddress[] = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ];
  const lookup = ((_host: string, _options: unknown, done: (error: null, found: LookupAddress[]) => void) =>
    setImmediate(done, null, addresses)) as unknown as net.LookupFunction;
  for (const [event, host] of [
    ['lookup', 'several.example'],
    ['connectionAttempt', 'several.example'],
    ['connectionAttempt', '127.0.0.1'],
  ] as const) {
    const socket = connect({ host, port, lookup, autoSelectFamily: true } as never);
    for (const late of ['connect', 'ready', 'connectionAttemptTimeout'] as const) socket.on(late, () => seen.push(late));
    socket.once(event, () => socket.destroy());
    await new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([socket.destroyed, socket.connecting]).toEqual([true, false]);
  }
  expect(seen).toEqual([]);
});

it.each([
  { port: 80.5 },
  { port: 80, autoSelectFamily: 'yes' },
  { port: 80, autoSelectFamilyAttemptTimeout: 'x' },
  { port: 80, localAddress: 'nowhere' },
])('arguments that node:net refuses are refused as there: %j', (options) => {
  const thrown = (how: (options: never) => net.Socket): unknown => {
    try {
      how({ host: 'localhost', ...options } as never)
        .on('error', () => {})
        .destroy();
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  expect(thrown(connect)).toBe(thrown(net.connect));
});
