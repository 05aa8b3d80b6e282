// index.ts - connect(), createConnection() and createServer(), with node:net's signatures.

import type net from 'node:net';
import { type ConnectOptions, normalizeConnect, type ServerOptions, type SocketOptions } from './arguments.js';
import { CONNECT_PUBLISHES, publishClient } from '../tcp/handle.js';
import { Server } from './server.js';
import { Socket } from './socket.js';

export type { ConnectOptions, ServerOptions, SocketOptions } from './arguments.js';
export { RingSurface } from './ring-surface.js';
export { Server } from './server.js';
export { Socket, type SocketStats } from './socket.js';

export function connect(options: ConnectOptions, connectionListener?: () => void): Socket;
export function connect(port: number, host?: string, connectionListener?: () => void): Socket;
export function connect(port: number, connectionListener?: () => void): Socket;
export function connect(path: string, connectionListener?: () => void): Socket;
/**
 * Connects as `net.connect` does, with its arguments, events and errors; over a ring where the peer can, else over TCP.
 * What was decided is in {@link Socket.transport} and {@link Socket.declines} from 'connect' on. The socket's 'error' may
 * also be `ERR_SMC_FALLBACK` or `ERR_SMC_PEER_VIOLATION`. A path, a descriptor and `blockList` go to node:net; with `localAddress` or
 * `localPort` there is SMC-R, and no ring within the host.
 * @throws SmcError `ERR_SMC_INVALID_OPTION` synchronously, and whatever net.connect throws.
 */
export function connect(...args: unknown[]): Socket {
  const { options } = normalizeConnect(args);
  const socket = new Socket(options as unknown as SocketOptions);
  if (!CONNECT_PUBLISHES) publishClient(socket);
  const { timeout } = options as { timeout?: number };
  if (timeout) socket.setTimeout(timeout);
  return socket.connect(...(args as [ConnectOptions]));
}

/** The same as {@link connect}, as in node:net: for `createConnection` of http agents and http2. */
export const createConnection = connect;

/**
 * Creates a server as `net.createServer` does. Sockets it emits are {@link Socket}s; plain clients are served, too.
 * `transports` is its order of preference.
 * @throws SmcError `ERR_SMC_INVALID_OPTION` synchronously.
 */
export function createServer(connectionListener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions, connectionListener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions | ((socket: Socket) => void), connectionListener?: (socket: Socket) => void): Server {
  return new Server(options, connectionListener);
}

export type { net };
