// limited-end.ts - one end in a process of its own, which a test starts with little memory to lock: it says of each connection what became
// of it, and sends back what comes.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket, type SmcOptions } from '@smcjs/core';
import { args, commands, report } from '../peers/lib.js';
import { SmcStream } from './smc-stream.js';

export interface LimitedArgs {
  readonly role: 'client' | 'server';
  readonly options: SmcOptions;
}

/** From the test: one more connection, to this port; end. */
export type LimitedCommand = { readonly do: 'connect'; readonly port: number } | { readonly do: 'leave' };

const { role, options } = args<LimitedArgs>();
const streams = new Set<SmcStream>();

function watch(socket: Socket): void {
  const stream = new SmcStream(socket);
  streams.add(stream);
  const { transport, declines, localPort, remotePort } = socket;
  report('connected', { transport, declines, clientPort: role === 'client' ? localPort : remotePort });
  void stream.echo().catch(() => {});
}

function dial(port: number): void {
  const socket = connect({ ...options, allowHalfOpen: true, port, host: '127.0.0.1' } as never);
  socket.once('error', ({ code, message }: NodeJS.ErrnoException) => report('failed', { code, message }));
  socket.once('connect', () => watch(socket));
}

const server = createServer({ ...options, allowHalfOpen: true }, (socket) => watch(socket as Socket));
const done = commands<LimitedCommand>((command) => {
  if (command.do === 'connect') return dial(command.port);
  for (const stream of streams) stream.close();
  server.close();
  done();
});
if (role === 'client') report('ready');
else server.listen(0, '127.0.0.1', () => report('ready', { port: (server.address() as AddressInfo).port }));
