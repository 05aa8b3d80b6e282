// transport-case.ts - what the compliance suite needs to know of the implementation it looks at.

import type net from 'node:net';
import type { SmcOptions, TransportName } from '@smcjs/core';
import { expect, onTestFinished } from 'vitest';
import { event, watched } from '../support/events.js';

type Options<T> = T & SmcOptions;

/** The part of node:net that the suite uses, with options it may not know. */
export interface NetApi {
  readonly Socket: new (options?: Options<net.SocketConstructorOpts>) => net.Socket;
  readonly Server: new (options?: Options<net.ServerOpts>, listener?: (socket: net.Socket) => void) => net.Server;
  connect(options: Options<net.NetConnectOpts>, listener?: () => void): net.Socket;
  createConnection(port: number, host?: string, listener?: () => void): net.Socket;
  createServer(options?: Options<net.ServerOpts>, listener?: (socket: net.Socket) => void): net.Server;
}

/** One side: which implementation, with which options, and what it must report. */
export interface Side {
  readonly api: NetApi;
  /** How a child process loads the same. */
  readonly module: 'node:net' | '@smcjs/core';
  readonly options: SmcOptions;
  /** What `socket.transport` must be; undefined for node:net, which has no such property. */
  readonly transport: TransportName | undefined;
}

export interface TransportCase {
  readonly name: string;
  readonly client: Side;
  readonly server: Side;
  /** Most bytes that can be under way between the two streams' own buffers. */
  readonly capacity: number;
  /** Why processes of their own cannot have this case. */
  readonly noProcesses?: string;
  /** Connections one after the other between two looks at what a process holds, where 200 take too long. */
  readonly turns?: number;
}

export interface Pair {
  readonly client: net.Socket;
  readonly accepted: net.Socket;
  readonly server: net.Server;
}

export interface OpenOptions {
  client?: Options<Partial<net.TcpNetConnectOpts & net.SocketConstructorOpts>>;
  server?: Options<net.ServerOpts>;
}

export function transportOf(socket: net.Socket): TransportName | undefined {
  return (socket as { transport?: TransportName }).transport;
}

/** A server of this case, closed when the test ends. */
export function createServer(t: TransportCase, options: Options<net.ServerOpts> = {}): net.Server {
  const server = t.server.api.createServer({ ...t.server.options, ...options });
  onTestFinished(() => void server.close());
  return server;
}

export async function listen(server: net.Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await event(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** A server that listens, and its port. */
export async function listening(t: TransportCase, options: Options<net.ServerOpts> = {}): Promise<{ server: net.Server; port: number }> {
  const server = createServer(t, options);
  return { server, port: await listen(server) };
}

/** A client of this case on its way to `port`, destroyed when the test ends. */
export function dial(t: TransportCase, port: number, options: OpenOptions['client'] = {}): net.Socket {
  const client = watched(t.client.api.connect({ port, host: '127.0.0.1', ...t.client.options, ...options }));
  onTestFinished(() => void client.destroy());
  return client;
}

/** The next connection a server accepts, destroyed when the test ends. */
export async function accept(server: net.Server): Promise<net.Socket> {
  const [accepted] = (await event(server, 'connection')) as [net.Socket];
  onTestFinished(() => void accepted.destroy());
  return watched(accepted);
}

/** Two connected sockets, on the transport the case is about. */
export async function open(t: TransportCase, options: OpenOptions = {}): Promise<Pair> {
  const { server, port } = await listening(t, options.server);
  const accepting = accept(server);
  const client = dial(t, port, options.client);
  const failed = new Promise<never>((_, reject) => client.once('error', reject));
  failed.catch(() => {});
  await Promise.race([event(client, 'connect'), failed]);
  client.removeAllListeners('error');
  const accepted = await accepting;
  expect(transportOf(client)).toBe(t.client.transport);
  expect(transportOf(accepted)).toBe(t.server.transport);
  return { client, accepted, server };
}
