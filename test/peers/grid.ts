// grid.ts - one of two processes whose worker threads are all connected with all of the other's: it listens in each of them,
// or connects from each. A client sends and a server answers as many bytes, of streams that both ends know and check.

import type { AddressInfo, Socket } from 'node:net';
import { readlinkSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { SmcOptions } from '@smcjs/core';
import { payload, Verifier } from '../support/random.js';
import { args, commands, load, report, transportOf } from './lib.js';

export interface GridArgs {
  readonly workers: number;
  readonly options: SmcOptions;
  /** Where every worker connects to, so often each; with none every worker listens. */
  readonly ports: readonly number[];
  readonly connections: number;
}

/** What one worker does on its connections to port number `to`, or on all: `rounds` times `bytes` there and back. */
export interface Exchange {
  readonly do: 'exchange';
  readonly rounds: number;
  readonly bytes: number;
  readonly to?: number;
  /** On one of them only. */
  readonly one?: boolean;
}

export type GridCommand =
  | { readonly do: 'terminate'; readonly worker: number }
  | { readonly do: 'leave' }
  | (Exchange & { readonly worker: number });

interface Link {
  readonly socket: Socket;
  readonly to: number;
  readonly verifier: Verifier;
  sent: number;
}

const say = (is: string, details: object): void => parentPort?.postMessage({ is, ...details });
/** The thread of this worker: synchronous calls are made on it. */
const thread = (): number => Number(readlinkSync('/proc/thread-self').split('/').at(-1));

/** Tells how a connection ended. */
function watch(socket: Socket, details: object): void {
  const seen: string[] = [];
  socket.on('end', () => seen.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code ?? error.message));
  socket.on('close', () => say('closed', { ...details, seen }));
}

async function serve({ options }: GridArgs): Promise<void> {
  const { createServer } = await load({ module: '@smcjs/core', options });
  const server = createServer({ ...options });
  server.on('connection', (socket) => {
    const seed = 2 * (socket.remotePort as number);
    const verifier = new Verifier(seed);
    say('accepted', { transport: transportOf(socket) });
    watch(socket, {});
    socket.on('data', (chunk) => {
      const from = verifier.received;
      verifier.take(chunk);
      socket.write(payload(seed + 1, chunk.length, from));
    });
  });
  server.listen(0, '127.0.0.1', () => say('ready', { thread: thread(), port: (server.address() as AddressInfo).port }));
}

/** There and back, so often, as long as the connection lasts; true when every byte came. */
async function exchange(link: Link, { rounds, bytes }: Exchange): Promise<boolean> {
  const { socket, verifier } = link;
  for (let round = 0; round < rounds && !socket.destroyed; round++) {
    socket.write(payload(2 * (socket.localPort as number), bytes, link.sent));
    link.sent += bytes;
    while (verifier.received < link.sent && !socket.destroyed)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          socket.off('data', wake).off('close', wake);
          resolve();
        };
        socket.on('data', wake).on('close', wake);
      });
  }
  return verifier.received === link.sent;
}

async function connectAll({ options, ports, connections }: GridArgs): Promise<void> {
  const { connect } = await load({ module: '@smcjs/core', options });
  const links: Link[] = await Promise.all(
    ports
      .flatMap((port, to) => Array.from({ length: connections }, () => ({ port, to })))
      .map(async ({ port, to }) => {
        const socket = connect({ ...options, port, host: '127.0.0.1' });
        await new Promise((resolve, reject) => void socket.once('connect', resolve).once('error', reject));
        watch(socket, { to });
        const verifier = new Verifier(2 * (socket.localPort as number) + 1);
        socket.on('data', (chunk) => verifier.take(chunk));
        return { socket, to, verifier, sent: 0 };
      }),
  );
  parentPort?.on('message', async (command: Exchange) => {
    const meant = links.filter(({ socket, to }) => !socket.destroyed && (command.to ?? to) === to);
    if (command.one === true) meant.length = 1;
    const whole = await Promise.all(meant.map((link) => exchange(link, command)));
    say('exchanged', { links: meant.length, whole: whole.filter(Boolean).length });
  });
  say('ready', { thread: thread(), transports: links.map(({ socket }) => transportOf(socket)) });
}

if (isMainThread) {
  const given = args<GridArgs>();
  const workers = Array.from({ length: given.workers }, (_, worker) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: given });
    thread.on('message', ({ is, ...details }: { is: string }) => report(is, { worker, ...details }));
    thread.on('error', (error) => report('failed', { worker, message: String(error) }));
    return thread;
  });
  const done = commands<GridCommand>((command) => {
    if (command.do === 'exchange') workers[command.worker]?.postMessage(command);
    else if (command.do === 'terminate') void workers[command.worker]?.terminate().then(() => report('terminated', { ...command }));
    else {
      done();
      void Promise.all(workers.map((worker) => worker.terminate()));
    }
  });
} else {
  const given = workerData as GridArgs;
  await (given.ports.length === 0 ? serve(given) : connectAll(given));
}
