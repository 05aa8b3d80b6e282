// threads.ts - one process, several loops: the main thread serves, worker threads connect to it, and one of them is
// terminated with its connection open.

import type { AddressInfo, Socket } from 'node:net';
import { createConnection } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { connect, createServer, type SmcOptions } from '@smcjs/core';
import { payload, Verifier } from '../support/random.js';
import { args, report, transportOf } from './lib.js';

export interface ThreadsArgs {
  readonly workers: number;
  readonly bytes: number;
  readonly options: SmcOptions;
  /** What the first worker does: the same as the others, or go while its connection is open. */
  readonly first: 'exchanges' | 'is terminated' | 'exits';
  /** Do all workers what the first one does? */
  readonly all?: boolean;
}

interface Task {
  readonly port: number;
  readonly index: number;
  readonly args: ThreadsArgs;
}

async function work({ port, index, args: { bytes, options, first, all = false } }: Task): Promise<void> {
  const socket = connect({ ...options, port, host: '127.0.0.1', allowHalfOpen: true }) as Socket;
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  parentPort?.postMessage({ connected: index, transport: transportOf(socket) });
  if ((index === 0 || all) && first !== 'exchanges') {
    socket.write(payload(index, 1000));
    socket.resume();
    if (first === 'exits') setTimeout(() => process.exit(0), 50);
    return;
  }
  const verifier = new Verifier(index);
  socket.on('data', (chunk) => verifier.take(chunk));
  socket.end(payload(index, bytes));
  await new Promise((resolve) => socket.once('close', resolve));
  parentPort?.postMessage({ echoed: index, received: verifier.received });
}

async function serve(given: ThreadsArgs): Promise<void> {
  const server = createServer({ ...given.options, allowHalfOpen: true });
  server.on('connection', (socket) => {
    report('accepted', { transport: transportOf(socket) });
    socket.on('error', (error: NodeJS.ErrnoException) => report('broken', { code: error.code }));
    socket.on('close', () => report('closed'));
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await Promise.all(
    Array.from({ length: given.workers }, (_, index) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { port, index, args: given } satisfies Task });
      worker.on('message', (message: { connected?: number; transport?: string; echoed?: number; received?: number }) => {
        report(message.connected !== undefined ? 'connected' : 'echoed', message);
        if ((message.connected === 0 || given.all) && message.connected !== undefined && given.first === 'is terminated')
          setTimeout(() => void worker.terminate(), 50);
      });
      worker.on('error', (error) => report('failed', { message: String(error) }));
      return new Promise<void>((resolve) => void worker.once('exit', () => resolve()));
    }),
  );
  // The server must still work, for strangers too.
  const stranger = createConnection(port, '127.0.0.1');
  stranger.end('still there');
  let answer = '';
  for await (const chunk of stranger) answer += String(chunk);
  report('stranger', { answer });
  server.close();
}

if (isMainThread) await serve(args<ThreadsArgs>());
else await work(workerData as Task);
