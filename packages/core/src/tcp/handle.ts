// handle.ts - the one file that knows how node:net keeps its native handle: moving it from the plain socket that carried
// the handshake into the socket the user holds, which is from then on an ordinary net.Socket at full speed.
//
// Present on Node 20 to 26; checked once. A version that lacks something is a decline, not a crash.

import diagnostics from 'node:diagnostics_channel';
import net from 'node:net';
import type { AcceptedConnection, Endpoint } from '../transport/backend.js';
import { type Decline, decline, type TransportName } from '../transport/decline.js';
import { endpointOf, type NameInto } from '../transport/endpoint.js';

interface NativeHandle {
  reading?: boolean;
  readonly fd?: number;
  readStop(): number;
}

/** What is touched of a net.Socket beyond its public face. */
interface Internals {
  _handle: NativeHandle | null;
  _server: net.Server | null;
  server: net.Server | null;
  _undestroy(): void;
  [reinitialize: symbol]: unknown;
}

const internals = (socket: net.Socket) => socket as unknown as Internals;

/**
 * Options for a net.Socket with what node:net sets in its copy of them. What is added to such a copy makes a new shape each
 * time on Node 20, and everything that reads it is slow: 6.5 us for a socket, and 0.4 with these in it already. From Node 22
 * on it makes no difference. The literal has to come first: a copy of a constant has the same fault.
 */
export const complete = (options: net.SocketConstructorOpts): net.SocketConstructorOpts =>
  ({ allowHalfOpen: false, emitClose: false, autoDestroy: true, decodeStrings: false, ...options }) as net.SocketConstructorOpts;

const kReinitializeHandle = Object.getOwnPropertySymbols(net.Socket.prototype).find(
  (symbol) => symbol.description === 'kReinitializeHandle',
);

const prototype = net.Socket.prototype as unknown as Partial<Internals>;
const lacking = [
  kReinitializeHandle === undefined || typeof prototype[kReinitializeHandle] !== 'function' ? 'kReinitializeHandle' : '',
  typeof prototype._undestroy === 'function' ? '' : '_undestroy',
].filter((name) => name !== '');

/** Why sockets of this Node version cannot be moved; undefined when they can. Asked of every connect: found out once. */
export function missingInternals(transport: TransportName): Decline | undefined {
  return lacking.length === 0
    ? undefined
    : decline(transport, 'local', 'node-internals', `Node ${process.version} lacks ${lacking.join(', ')}`);
}

/** Descriptor of a socket's TCP connection; -1 where there is none to be had. */
export function descriptorOf(socket: net.Socket): number {
  return internals(socket)._handle?.fd ?? -1;
}

/** Descriptor of a server's listening socket; -1 where there is none to be had, as in a worker of cluster. */
export function listeningDescriptor(server: net.Server): number {
  return (server as unknown as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}

export function hasHandle(socket: net.Socket): boolean {
  return internals(socket)._handle != null;
}

/** Makes a destroyed or new socket ready to connect, as connect() of net does. */
export function revive(socket: net.Socket): void {
  internals(socket)._undestroy();
}

/** Moves the native handle of `from` into `to`. `from` is an empty shell afterwards and emits nothing more. */
export function moveHandle(from: net.Socket, to: net.Socket): void {
  const handle = internals(from)._handle;
  if (handle === null || kReinitializeHandle === undefined) throw new Error('no handle to move');
  internals(from)._handle = null;
  handle.readStop();
  handle.reading = false;
  (internals(to)[kReinitializeHandle] as (handle: NativeHandle) => void).call(to, handle);
}

/** The server that counts this connection: it moves with the user's socket. */
export function moveServer(from: net.Socket, to: net.Socket): void {
  const { _server } = internals(from);
  // One that has ended does not count any more.
  if (from.destroyed && _server !== null) (_server as unknown as AcceptingServer)._connections++;
  internals(to)._server = internals(to).server = _server;
  internals(from)._server = null;
}

type ClientHandle = NativeHandle & { getsockname?: NameInto; getpeername?: NameInto };

/** The native handle of an accepted connection, before a socket is made of it. */
export class AcceptedHandle implements AcceptedConnection {
  readonly fd: number;
  readonly #client: ClientHandle;
  readonly #server: AcceptingServer;

  constructor(client: ClientHandle, server: AcceptingServer) {
    this.fd = client.fd ?? -1;
    this.#client = client;
    this.#server = server;
  }

  get local(): Endpoint | undefined {
    return this.#name(this.#client.getsockname);
  }

  get remote(): Endpoint | undefined {
    return this.#name(this.#client.getpeername);
  }

  /** Options for the socket that is to own it: those node:net would use. */
  options(allowHalfOpen = this.#server.allowHalfOpen): net.SocketConstructorOpts {
    const { pauseOnConnect, highWaterMark } = this.#server;
    return complete({
      handle: this.#client,
      allowHalfOpen,
      pauseOnCreate: pauseOnConnect,
      readable: true,
      writable: true,
      readableHighWaterMark: highWaterMark,
      writableHighWaterMark: highWaterMark,
    } as net.SocketConstructorOpts);
  }

  #name(get: NameInto | undefined): Endpoint | undefined {
    const out: Partial<net.AddressInfo> = {};
    return get?.call(this.#client, out) === 0 ? endpointOf(out.address, out.port) : undefined;
  }
}

/**
 * Has `act` called once with the descriptor of a server that is about to listen: bound, not yet listening. Not at all where
 * the server gets none of its own, as in a worker of cluster that takes turns. What `act` throws comes out of listen(). Call it
 * before listen(); a server that is closed and listens again needs another call.
 */
export function beforeListen(server: net.Server, act: (fd: number) => void): void {
  // Node binds, puts the handle here, then has it listen: lib/net.js, setupListenHandle.
  Object.defineProperty(server, '_handle', {
    configurable: true,
    enumerable: true,
    get: () => null,
    set(handle: { fd?: number } | null) {
      if (handle === null) return;
      Object.defineProperty(server, '_handle', { configurable: true, enumerable: true, writable: true, value: handle });
      if ((handle.fd ?? -1) >= 0) act(handle.fd as number);
    },
  });
}

interface AcceptingServer {
  _handle: { onconnection?: (error: number, client?: ClientHandle) => void } | null;
  _connections: number;
  maxConnections?: number | null;
  blockList?: unknown;
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  highWaterMark?: number;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
}

/**
 * Has `accept` called for each connection of a listening server in place of node's own function, which goes on doing what
 * is not the ordinary case. Making the right socket at once matters: changing the prototype of the one that node makes
 * costs 25 us of CPU time a connection, a third of what a connection takes. False where there is nothing to replace.
 */
export function replaceAccept(server: net.Server, accept: (handle: AcceptedHandle) => void): boolean {
  const accepting = server as unknown as AcceptingServer;
  const handle = accepting._handle;
  const original = handle?.onconnection;
  if (handle == null || typeof original !== 'function') return false;
  handle.onconnection = function onconnection(error, client) {
    const full = accepting.maxConnections != null && accepting._connections >= accepting.maxConnections;
    if (error || client === undefined || full || accepting.blockList) return original.call(this, error, client);
    accept(new AcceptedHandle(client, accepting));
  };
  return true;
}

/** Gives a new socket to the server that accepted it: counted, and with the server's options for TCP. */
export function adoptAccepted(server: net.Server, socket: net.Socket): void {
  const accepting = server as unknown as AcceptingServer;
  if (accepting.noDelay) socket.setNoDelay(true);
  if (accepting.keepAlive) socket.setKeepAlive(true, accepting.keepAliveInitialDelay);
  accepting._connections++;
  const own = internals(socket);
  own.server = own._server = server;
}

const clientSockets = diagnostics.channel('net.client.socket');

/** From Node 22 on, connect() of a socket tells the diagnostics channel; before, only net.connect() does. */
export const CONNECT_PUBLISHES = Number(process.versions.node.split('.')[0]) >= 22;

/** Tells 'net.client.socket' of the socket the program has. */
export function publishClient(socket: net.Socket): void {
  if (clientSockets.hasSubscribers) clientSockets.publish({ socket });
}

/** Runs a connect() of node:net that must not tell the channel: of an inner socket, or a second time. */
export function withoutPublishing(connect: () => void): void {
  if (!CONNECT_PUBLISHES || !clientSockets.hasSubscribers) return connect();
  Object.defineProperty(clientSockets, 'hasSubscribers', { configurable: true, value: false });
  try {
    connect();
  } finally {
    delete (clientSockets as { hasSubscribers?: boolean }).hasSubscribers;
  }
}
