// clustered.ts - a primary with two workers that listen on one port with this library and echo.

import cluster from 'node:cluster';
import type { AddressInfo } from 'node:net';
import { createServer } from '@smcjs/core';
import { args, commands, report, transportOf } from './lib.js';

export interface ClusteredArgs {
  readonly scheduling: 'round robin' | 'shared';
}

const WORKERS = 2;

if (cluster.isPrimary) {
  const { scheduling } = args<ClusteredArgs>();
  cluster.schedulingPolicy = scheduling === 'shared' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  cluster.setupPrimary({ args: process.argv.slice(2) });
  let listening = 0;
  for (let i = 0; i < WORKERS; i++) cluster.fork();
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === WORKERS) report('listening', { port });
  });
  cluster.on('exit', (_worker, code, signal) => report('worker', { code, signal }));
  cluster.on('message', (_worker, message: { transport: string }) => report('accepted', message));
  const done = commands(() => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.disconnect();
    done();
  });
} else {
  const server = createServer((socket) => {
    process.send?.({ transport: transportOf(socket) });
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1', () => (server.address() as AddressInfo).port);
}
