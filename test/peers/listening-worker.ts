// listening-worker.ts - a worker thread listens, is terminated, and a plain server takes its port: what does a client see?

import type { AddressInfo } from 'node:net';
import { createServer as createPlainServer } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { connect, createServer } from '@smcjs/core';
import { report } from './lib.js';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  await worker.terminate();
  const server = createPlainServer((socket) => socket.end('plain'));
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  const client = connect({ port, host: '127.0.0.1', transports: ['smcd', 'tcp'] });
  let text = '';
  for await (const chunk of client) text += String(chunk);
  report('client', { text, transport: client.transport, reasons: client.declines.map(({ reason }) => reason) });
  server.close();
} else {
  const server = createServer();
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}
