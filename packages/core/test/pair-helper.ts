// pair-helper.ts - two connected sockets in this process, of node:net or of ours over the memory transport.

import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { createChannel, open } from '../src/channel.js';
import { connect, createServer, type Socket, type SmcOptions } from '../src/index.js';

/** Both ends; `accepted` is told of the server's end within 'connection', before anything is read from it. */
export async function memoryPair(
  options: SmcOptions & net.SocketConstructorOpts & { highWaterMark?: number } = {},
  accepted?: (socket: Socket) => void,
): Promise<[client: Socket, server: Socket]> {
  const all = { transports: ['memory' as const], fallback: 'error' as const, ...options };
  const server = createServer(all as never);
  const other = new Promise<Socket>((resolve) => {
    server.once('connection', (accept: net.Socket) => {
      const socket = accept as Socket;
      accepted?.(socket);
      resolve(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ ...all, port: (server.address() as AddressInfo).port, host: '127.0.0.1' } as never);
  await new Promise<void>((resolve, reject) => client.once('connect', resolve).once('error', reject));
  const pair: [Socket, Socket] = [client, await other];
  server.close();
  return pair;
}

/** Both ends of a worker channel, in this thread; they stand in for sockets as far as streams go. */
export async function channelPair(
  options: { highWaterMark?: number; allowHalfOpen?: boolean; ringSize?: number } = {},
): Promise<[client: net.Socket, server: net.Socket]> {
  const { highWaterMark, ringSize, allowHalfOpen = false } = options;
  const { port1, port2 } = createChannel(ringSize === undefined ? {} : { ringSize });
  const limits = highWaterMark === undefined ? {} : { readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark };
  const ends = [port1, port2].map((port) => open(port, { allowHalfOpen, ...limits }));
  return ends as unknown as [net.Socket, net.Socket];
}

export async function netPair(
  options: net.SocketConstructorOpts & { highWaterMark?: number } = {},
): Promise<[client: net.Socket, server: net.Socket]> {
  const server = net.createServer(options);
  const other = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = net.connect({ ...options, port: (server.address() as AddressInfo).port, host: '127.0.0.1' } as never);
  await new Promise<void>((resolve, reject) => client.once('connect', resolve).once('error', reject));
  const pair: [net.Socket, net.Socket] = [client, await other];
  server.close();
  return pair;
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => void setTimeout(resolve, 1));
}
