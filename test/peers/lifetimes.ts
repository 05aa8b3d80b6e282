// lifetimes.ts - one process whose loops, sockets and copies of the library come and go with open connections; says what it
// holds when they are gone.

import { cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { payload, Verifier } from '../support/random.js';
import { args, holdings, load, type PeerApi, report, transportOf } from './lib.js';

const options = { transports: ['smcd'], fallback: 'error', ringSize: 65_536 } as const;
const SMCD = { module: '@smcjs/core', options } as const;

interface Task {
  readonly what: 'sends' | 'exits' | 'drops' | 'serves';
  readonly port?: number;
  /** A copy of the library to use. */
  readonly library?: string;
}

const loadTask = async ({ library }: Task): Promise<PeerApi> => (library === undefined ? load(SMCD) : ((await import(library)) as PeerApi));

async function listen(api: PeerApi, use: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = api.createServer({ ...options });
  server.on('connection', (socket) => use(socket.on('error', () => {})));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

async function open(api: PeerApi, port: number): Promise<Socket> {
  const socket = api.connect({ ...options, port, host: '127.0.0.1' });
  await new Promise((resolve, reject) => void socket.once('connect', resolve).once('error', reject));
  return socket.on('error', () => {});
}

/** Sends so much and checks that all of it comes back. */
async function echoes(socket: Socket, bytes = 200_000): Promise<boolean> {
  const verifier = new Verifier(bytes);
  socket.write(payload(bytes, bytes));
  await new Promise<void>((resolve) => {
    const take = (chunk: Buffer): void => {
      verifier.take(chunk);
      if (verifier.received < bytes) return;
      socket.off('data', take).off('close', resolve);
      resolve();
    };
    socket.on('close', resolve).on('data', take);
  });
  return verifier.received === bytes;
}

const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => (socket.closed ? resolve(0) : socket.once('close', resolve)));
const sleep = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));
const held = () => {
  const { descriptors, mappings } = holdings();
  return { descriptors: descriptors.length, mappings: mappings.length };
};

/** Collects garbage until the condition holds. First in its turn: what a WeakRef was asked for lives to the end of that. */
async function collectedUntil(condition: () => boolean): Promise<void> {
  do {
    await sleep(5);
    globalThis.gc?.();
  } while (!condition());
}

const worker = (task: Task): Worker => new Worker(new URL(import.meta.url), { workerData: task });
const told = (from: Worker): Promise<{ port: number; transport: string }> =>
  new Promise((resolve, reject) => void from.once('message', resolve).once('error', reject));
const ended = (one: Worker): Promise<number> => new Promise((resolve) => one.once('exit', resolve));

/** What a worker does: it is in the middle of it when it ends. */
async function work(task: Task): Promise<void> {
  const api = await loadTask(task);
  if (task.what === 'serves') {
    const { port } = await listen(api, (socket) => socket.pipe(socket));
    return parentPort?.postMessage({ port });
  }
  // Not held by anything here from now on but by their own event loop.
  const transports: string[] = [];
  for (let i = 0; i < 4; i++) {
    const socket = await open(api, task.port as number);
    transports.push(transportOf(socket));
    if (task.what === 'drops') socket.on('data', (chunk) => socket.write(chunk));
    else {
      socket.resume();
      const send = (): void => void socket.write(payload(i, 10_000), send);
      send();
    }
  }
  if (task.what === 'drops') setInterval(() => globalThis.gc?.(), 10);
  if (task.what === 'exits') setTimeout(() => process.exit(3), 30);
  parentPort?.postMessage({ transport: [...new Set(transports)].join(' ') });
}

const scenarios = {
  /** Workers that send and listen end in the middle of it, again and again; what they held is gone. */
  async workersEnd() {
    const api = await load(SMCD);
    const accepted = new Set<Socket>();
    const { server, port } = await listen(api, (socket) => {
      accepted.add(socket);
      socket.once('close', () => accepted.delete(socket));
      socket.pipe(socket);
    });
    const transports = new Set<string>();
    let before: object | undefined;
    for (let round = 0; round < 3; round++) {
      const [sends, exits, serves] = [worker({ what: 'sends', port }), worker({ what: 'exits', port }), worker({ what: 'serves' })];
      const exited = ended(exits);
      const [one, other, { port: theirs }] = await Promise.all([told(sends), told(exits), told(serves)]);
      for (const { transport } of [one, other]) transports.add(transport);
      const client = await open(api, theirs);
      await echoes(client);
      client.write(payload(1, 10_000));
      await Promise.all([sends.terminate(), serves.terminate(), exited]);
      await closed(client);
      while (accepted.size > 0) await sleep(5);
      await sleep(50);
      before ??= held();
    }
    report('ended', { transports: [...transports], before, after: held() });
    server.close();
  },

  /** The main thread exits while the connections of two workers are in use. */
  async processExits() {
    const serves = worker({ what: 'serves' });
    const { port } = await told(serves);
    const sends = worker({ what: 'sends', port });
    const { transport } = await told(sends);
    const socket = await open(await load(SMCD), port);
    const send = (): void => void socket.write(payload(1, 10_000), send);
    send();
    socket.resume();
    report('in use', { transport });
    setTimeout(() => process.exit(7), 30);
  },

  /** Sockets that nobody holds any more: the destroyed are collected, those that are open work on. */
  async collected() {
    const api = await load(SMCD);
    const accepted: Socket[] = [];
    const { server, port } = await listen(api, (socket) => accepted.push(socket));
    // A loop of its own: two ends in this one would be of the memory backend.
    const drops = worker({ what: 'drops', port });
    const { transport } = await told(drops);
    while (accepted.length < 4) await sleep(5);
    await sleep(100); // garbage is collected there many times now
    const echoed = await Promise.all(accepted.map((socket) => echoes(socket)));
    const serves = worker({ what: 'serves' });
    const { port: theirs } = await told(serves);
    // Set up once: a link group with that worker.
    (await open(api, theirs)).destroy();
    const references: WeakRef<Socket>[] = [];
    for (let i = 0; i < 50; i++) {
      const socket = await open(api, theirs);
      if (i % 2 === 0) await echoes(socket, 1000);
      references.push(new WeakRef(socket));
      socket.destroy();
    }
    const alive = (): number => references.filter((reference) => reference.deref() !== undefined).length;
    // The last one may still lie on the stack; of the accepted ones, too.
    await collectedUntil(() => alive() <= 1);
    // Their rings are not: the next connection has one of them.
    const after = await open(api, theirs);
    const again = await echoes(after);
    after.destroy();
    for (const socket of accepted) socket.destroy();
    await Promise.all([drops.terminate(), serves.terminate(), ...accepted.map(closed)]);
    references.push(...accepted.splice(0).map((socket) => new WeakRef(socket)));
    await collectedUntil(() => alive() <= 2 && held().mappings === 0);
    report('collected', { transport, echoed, alive: alive(), again });
    server.close();
  },

  /** Copies of the library and its addon in one process, in one loop and in workers, that connect with each other. */
  async copies() {
    const directory = mkdtempSync(join(tmpdir(), 'smc-copy-'));
    try {
      const found = (name: string) => realpathSync(new URL(`../../../packages/${name}`, import.meta.url));
      for (const name of ['core', 'smcd', 'smcr']) {
        for (const part of ['package.json', 'dist', ...(name === 'smcd' ? ['prebuilds'] : [])])
          cpSync(join(found(name), part), join(directory, 'node_modules/@smcjs', name, part), { recursive: true, force: true });
      }
      const library = pathToFileURL(join(directory, 'node_modules/@smcjs/core/dist/index.js')).href;
      const own = await load(SMCD);
      const apis: Record<string, PeerApi> = {
        own,
        // The modules that the query reaches, over the same others.
        queried: (await import(`${import.meta.resolve('@smcjs/core')}?copy`)) as PeerApi,
        copy: (await import(library)) as PeerApi,
      };
      const results: Record<string, string> = {};
      const listening = await Promise.all(
        Object.entries(apis).map(async ([name, api]) => ({ name, ...(await listen(any(api), (socket) => socket.pipe(socket))) })),
      );
      const use = async (name: string, api: PeerApi, port: number): Promise<void> => {
        const socket = await open(any(api), port);
        results[name] = `${transportOf(socket)} ${await echoes(socket)}`;
        socket.destroy();
        await closed(socket);
      };
      for (const [from, api] of Object.entries(apis)) {
        for (const { name, port } of listening) await use(`${from} to ${name}`, api, port);
      }
      const workers = [worker({ what: 'serves' }), worker({ what: 'serves', library })];
      const ports = await Promise.all(workers.map(told));
      for (const [i, { port }] of ports.entries()) {
        for (const [from, api] of Object.entries(apis)) await use(`${from} to worker ${i}`, api, port);
      }
      // One ends with connections open, then the other.
      for (const one of workers) await one.terminate();
      for (const { server } of listening) server.close();
      report('copies', { results });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

/** The same with any transport: two ends in one loop have memory between them. */
function any(api: PeerApi): PeerApi {
  return {
    connect: (given) => api.connect({ ...given, transports: ['memory', 'smcd', 'tcp'] }),
    createServer: (given) => api.createServer({ ...given, transports: ['memory', 'smcd', 'tcp'] }),
  };
}

export interface LifetimesArgs {
  readonly scenario: keyof typeof scenarios;
}

if (isMainThread) await scenarios[args<LifetimesArgs>().scenario]();
else await work(workerData as Task);
