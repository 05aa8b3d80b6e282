// declared-types.ts - compiled, never run: programs written for node:net's types compile with ours, and are told of our sockets.

import type net from 'node:net';
import { connect, createServer, type Server, Socket } from '../src/index.js';

export function client(): net.Socket {
  const socket = connect(1, 'x');
  socket.once('data', (data) => data.toString('utf8')).once('error', (error) => error.message);
  socket.once('lookup', (error, address) => [error?.message, address.length]).once('transport', (name: string) => name);
  socket.write('x', 'utf8', (error) => error?.message);
  socket.write('x', (error) => error?.message);
  socket.read()?.toString();
  // @ts-expect-error: no bytes
  socket.write(42);
  // @ts-expect-error: no encoding
  socket.write('x', 'nonsense');
  // @ts-expect-error: no host
  socket.connect(1, 2);
  return new Socket({ transports: ['tcp'] }).connect({ port: 1, host: 'x', busyPoll: 'off' }, () => {});
}

export function server(): net.Server {
  const made: Server = createServer((socket) => socket.transport);
  made.on('connection', (socket) => socket.transport).once('listening', () => {});
  made.on('drop', (data) => data?.localPort).on('custom', (first, second) => [first, second]);
  return made
    .listen(0, '127.0.0.1', () => {})
    .listen({ port: 0, host: 'x' })
    .listen('/path')
    .listen(1, () => {});
}
