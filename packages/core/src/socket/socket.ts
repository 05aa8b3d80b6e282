// socket.ts - the socket: a net.Socket that is, one after the other, undecided and then either TCP or a ring.
//
//   plain      from the start, or since the handshake ended on TCP: node:net's own native handle and code paths
//   undecided  no native handle; an inner plain socket connects and carries CLC; writes wait as in any connecting socket
//   ring       no native handle; `_read`, `_write` and the rest are ours; the inner socket stays as guard: it tells the
//              peer's death and keeps addresses, keepalive, ref and unref
//
// The base constructor calls `read(0)` and setters before fields of a subclass exist: hence one optional property that
// holds everything of ours, and absent means plain.

import net from 'node:net';
import { type BusyPoll, type ResolvedOptions, resolveOptions, type SmcOptions } from '../options.js';
import { complete } from '../tcp/handle.js';
import type { Decline, TransportName } from '../transport/decline.js';
import type { SocketOptions } from './arguments.js';
import { connectSocket } from './connecting.js';
import { guardSend } from './handing-over.js';
import type { WriteRequest } from './ring-sender.js';
import type { OnRead } from './ring-stream.js';
import { RingSurface } from './ring-surface.js';
import { kDeclines, kGiven, kOnRead, kOptions, kState, type State } from './socket-state.js';

/** What `socket.stats()` tells: a snapshot, plain data. */
export interface SocketStats {
  readonly transport: TransportName | undefined;
  /** Bytes of payload so far, by the stream and by {@link Socket.ring} together; as the properties of the same name. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Ring connections only: bytes of the ring we read and of the ring we write. */
  readonly ringSize?: { readonly local: number; readonly peer: number };
  /**
   * Ring connections only: wake-ups. Over smcd those the peer needed because it slept; over memory those of this side; over smcr those of
   * this side's link group, by its completion channel.
   */
  readonly doorbells?: number;
  /** Ring connections only: times the peer was told that there is news, with or without a wake-up. Over smcr: CDC messages sent. */
  readonly notifications?: number;
  /** Over smcr only: RDMA WRITEs. */
  readonly rdmaWrites?: number;
  /** Links that work now, SMC-R only: with two the connection survives the death of one. */
  readonly links?: number;
}

type Callback = (error?: Error | null) => void;
type Chunks = WriteRequest[];

/** Methods of net.Socket that are there but not declared. */
interface Base {
  _read(size: number): void;
  _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void;
  _writev(chunks: Chunks, callback: Callback): void;
  _writeGeneric(writev: boolean, data: unknown, encoding: BufferEncoding, callback: Callback): void;
  _final(callback: Callback): void;
  _destroy(error: Error | null, callback: Callback): void;
  _getsockname(): net.AddressInfo | Record<string, never>;
}
const base = net.Socket.prototype as unknown as Base;

/** Members of net.Socket that are there but not declared. */
export interface Socket {
  /** Activity: restarts the idle timer. */
  _unrefTimer(): void;
}

/**
 * A net.Socket that uses shared memory or RDMA where both ends can, and TCP otherwise. Everything net.Socket documents
 * holds; what is added is documented at each member. A client socket emits 'transport' with the transport's name once,
 * just before 'connect'; that of an accepted socket is known at 'connection'.
 *
 * Errors beside those of net.Socket: `ERR_SMC_FALLBACK` (only TCP is left and `fallback` is 'error'; `error.declines` says
 * why) and `ERR_SMC_PEER_VIOLATION` (the peer broke the protocol). Ends of a ring connection have net's codes:
 * `ECONNRESET`, `EPIPE`, `ECANCELED`, `ETIMEDOUT`.
 *
 * A ring connection belongs to its event loop: `child.send(message, socket)` throws `ERR_SMC_RING_SOCKET`, and so does
 * `process.send`. As `stdio` of `spawn` it is refused by node with `ERR_INVALID_ARG_VALUE`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the base class has what the interface declares
export class Socket extends net.Socket {
  declare [kState]?: State | undefined;
  declare [kOptions]?: ResolvedOptions;
  declare [kGiven]?: object | undefined;
  declare [kOnRead]?: OnRead;
  declare [kDeclines]?: readonly Decline[];

  /** @throws SmcError `ERR_SMC_INVALID_OPTION` for an unusable option of ours; node:net's own errors for its own. */
  constructor(options?: SocketOptions) {
    const resolved = resolveOptions(options);
    super(typeof options === 'object' ? complete(options as net.SocketConstructorOpts) : options);
    if (resolved !== resolveOptions(undefined)) this[kOptions] = resolved;
    if (options !== undefined && resolved === this[kOptions]) this[kGiven] = options;
    const { onread } = (options ?? {}) as { onread?: OnRead | null };
    if (onread != null) this[kOnRead] = onread;
  }

  /** The transport in use; undefined while connecting. A socket that was never connected reads 'tcp'. */
  get transport(): TransportName | undefined {
    const state = this[kState];
    if (state?.phase === 'ring') return state.stream?.channel.transport;
    return state?.phase === 'undecided' || this.connecting ? undefined : 'tcp';
  }

  /**
   * One entry per transport that is not used, with the reason. Complete once {@link transport} is known; before that
   * empty. Plain data, shared with other connections: not to be changed.
   */
  get declines(): readonly Decline[] {
    // An accepted plain connection has its server's: nothing is stored for it.
    return this[kDeclines] ?? (this as { server?: { plainDeclines?: readonly Decline[] } }).server?.plainDeclines ?? [];
  }

  /**
   * The zero-copy side of a ring connection, the same object each time; undefined over TCP and while connecting. Its first
   * receiving call takes the receiving direction over from the stream.
   */
  get ring(): RingSurface | undefined {
    const state = this[kState];
    if (state?.phase !== 'ring' || state.stream === undefined) return undefined;
    state.surface ??= new RingSurface(state.stream);
    return state.surface;
  }

  /** Counters of this connection. */
  stats(): SocketStats {
    const { transport, bytesRead, bytesWritten } = this;
    const channel = this[kState]?.stream?.channel;
    if (channel === undefined) return { transport, bytesRead, bytesWritten };
    return { transport, bytesRead, bytesWritten, ringSize: { local: channel.rx.capacity, peer: channel.tx.capacity }, ...channel.counters };
  }

  /**
   * Changes how this connection polls: 'auto', 'off' or microseconds, see {@link SmcOptions.busyPoll}. No effect over TCP
   * or memory, nor before the connection is established: there it is an option of connect().
   * @throws SmcError `ERR_SMC_INVALID_OPTION`
   */
  setBusyPoll(mode: BusyPoll): this {
    const { busyPoll } = resolveOptions({ busyPoll: mode });
    this[kState]?.stream?.channel.setBusyPoll(busyPoll);
    return this;
  }

  override connect(options: net.SocketConnectOpts & SmcOptions, connectionListener?: () => void): this;
  override connect(port: number, host: string, connectionListener?: () => void): this;
  override connect(port: number, connectionListener?: () => void): this;
  override connect(path: string, connectionListener?: () => void): this;
  override connect(...args: unknown[]): this {
    return connectSocket(this, args, (...plain) => {
      const unref = this[kState]?.unref;
      if (this[kState] !== undefined) this[kState] = undefined;
      super.connect(...(plain as [net.SocketConnectOpts]));
      return unref ? super.unref() : this;
    }) as this;
  }

  // ---- what differs while there is no native handle

  override _read(size: number): void {
    const stream = this[kState]?.stream;
    if (stream !== undefined) stream.read();
    else base._read.call(this, size);
  }

  override write(chunk: Uint8Array | string, callback?: (error?: Error | null) => void): boolean;
  override write(chunk: Uint8Array | string, encoding?: BufferEncoding, callback?: (error?: Error | null) => void): boolean;
  /**
   * As Writable.write. Over a ring what has room and nobody waits for is in it when this returns, without the detour by the
   * stream's own state: what can be seen of that is the same, and the detour is half of what a small write costs.
   */
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const stream = this[kState]?.stream;
    if (stream !== undefined && callback === undefined && isDirect(this, chunk, encoding)) {
      if (stream.sender.tryWrite(chunk as Uint8Array | string, (encoding ?? 'utf8') as BufferEncoding, this.writableHighWaterMark))
        return true;
    }
    if (typeof callback === 'function' || typeof encoding === 'function') stream?.tellWrites();
    return super.write(chunk as Uint8Array, encoding as BufferEncoding, callback as Callback);
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: Callback): void {
    const stream = this[kState]?.stream;
    if (stream !== undefined) stream.sender.write(chunk, encoding, callback);
    else base._write.call(this, chunk, encoding, callback);
  }

  override _writev(chunks: Chunks, callback: Callback): void {
    const stream = this[kState]?.stream;
    if (stream !== undefined) stream.sender.writev(chunks, callback);
    else base._writev.call(this, chunks, callback);
  }

  /** Where node:net continues a write that waited for 'connect'. */
  _writeGeneric(writev: boolean, data: unknown, encoding: BufferEncoding, callback: Callback): void {
    const stream = this[kState]?.stream;
    if (stream === undefined) return base._writeGeneric.call(this, writev, data, encoding, callback);
    // What waited for 'connect' is counted by bytesWritten as long as it is there.
    (this as unknown as { _pendingData: unknown })._pendingData = null;
    if (writev) stream.sender.writev(data as Chunks, callback);
    else stream.sender.write(data as Buffer | string, encoding, callback);
  }

  override _final(callback: Callback): void {
    const stream = this[kState]?.stream;
    if (stream !== undefined) stream.sender.final(callback);
    else base._final.call(this, callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const state = this[kState];
    if (state === undefined || state.phase === 'tcp') return base._destroy.call(this, error, callback);
    state.abort?.();
    state.stream?.close(false);
    clearInterval(state.hold);
    // 'close' comes when the descriptor is closed, with hadError, as on any socket. The base class does the counting.
    const hadError = error !== null && error !== undefined;
    const emit = this.emit as (event: string | symbol, ...args: unknown[]) => boolean;
    this.emit = (event: string | symbol, ...args: unknown[]) => event === 'close' || emit.call(this, event, ...args);
    base._destroy.call(this, error, callback);
    const closed = () => {
      this.emit = emit as Socket['emit'];
      this.emit('close', hadError);
    };
    const { inner } = state;
    // setImmediate: where a native handle would call back.
    if (inner === undefined || inner.closed) setImmediate(closed);
    else {
      inner.once('close', closed);
      if (state.stream?.endsByReset) inner.resetAndDestroy();
      else inner.destroy();
    }
  }

  override resetAndDestroy(): this {
    const state = this[kState];
    if (state?.phase === 'undecided' && !this.destroyed) {
      this.once('connect', () => this.resetAndDestroy());
      return this;
    }
    if (state?.stream === undefined) return super.resetAndDestroy();
    if (this.destroyed) return this;
    state.stream.close(true);
    if (state.stream.channel.suspect === undefined) state.inner?.resetAndDestroy();
    return this.destroy();
  }

  override ref(): this {
    return keepsLoop(this, true) ? this : super.ref();
  }

  override unref(): this {
    return keepsLoop(this, false) ? this : super.unref();
  }

  override setNoDelay(noDelay?: boolean): this {
    this[kState]?.inner?.setNoDelay(noDelay);
    return super.setNoDelay(noDelay);
  }

  override setKeepAlive(...args: Parameters<net.Socket['setKeepAlive']>): this {
    this[kState]?.inner?.setKeepAlive(...args);
    return super.setKeepAlive(...args);
  }

  override read(size?: number): ReturnType<net.Socket['read']> {
    restart(this);
    return super.read(size);
  }

  override resume(): this {
    restart(this);
    return super.resume();
  }

  override pause(): this {
    if (this[kOnRead] !== undefined) this[kState]?.stream?.stop();
    return super.pause();
  }

  _getsockname(): net.AddressInfo | Record<string, never> {
    const state = this[kState];
    if (state?.phase !== 'ring') return base._getsockname.call(this);
    return this.destroyed ? {} : state.sockname;
  }
}

guardSend((handle) => handle instanceof Socket && (handle[kState]?.phase ?? 'tcp') !== 'tcp');

// Functions, not private methods: a plain accepted socket becomes a Socket by its prototype alone.

/** ref and unref of the inner socket; false when there is a native handle for the base class to apply them to. */
function keepsLoop(socket: Socket, keep: boolean): boolean {
  const state = socket[kState];
  if (state === undefined || state.phase === 'tcp') return false;
  state.unref = !keep;
  if (keep) {
    state.inner?.ref();
    state.hold?.ref();
  } else {
    state.inner?.unref();
    state.hold?.unref();
  }
  return true;
}

/** Can a chunk overtake nothing, and is it of a kind that needs no conversion and raises no error? */
function isDirect(socket: Socket, chunk: unknown, encoding: unknown): boolean {
  const kind =
    typeof chunk === 'string'
      ? chunk.length > 0 && (encoding === 'utf8' || (encoding === undefined && defaultEncoding(socket) === 'utf8'))
      : encoding === undefined && chunk instanceof Uint8Array && chunk.length > 0;
  return kind && socket.writableLength === 0 && socket.writableCorked === 0 && !socket.writableEnded && !socket.destroyed;
}

const defaultEncoding = (socket: Socket): unknown =>
  (socket as unknown as { _writableState: { defaultEncoding?: unknown } })._writableState.defaultEncoding;

/** With `onread` there is no buffer whose emptiness would ask for more: reading goes on when the user says so. */
function restart(socket: Socket): void {
  if (socket[kOnRead] !== undefined) socket[kState]?.stream?.read();
}

/** Node's adapter of a stream for tls and http2, and tls itself, by where their code is: they have no other mark. */
const ADAPTER = /internal\/js_stream_socket/;
const TLS = /node:(_tls_wrap|internal\/tls\/wrap)/;

function calledBy(code: RegExp): boolean {
  return code.test(new Error('who listens').stack ?? '');
}

/**
 * On an established ring socket 'connect' is over; tls waits for it nevertheless, since there is no handle. On the prototype, so that
 * the declared listeners stay those of net.Socket.
 */
function once(this: Socket, event: string | symbol, listener: () => void): Socket {
  const state = this[kState];
  if (event === 'end' && state !== undefined && state.phase !== 'tcp' && calledBy(ADAPTER)) {
    // Over a native handle tls sees the end of the stream and decides itself when to end its own side. A wrapped
    // stream must not end by itself before tls has answered. Not before tls has copied the setting for itself.
    process.nextTick(() => {
      this.allowHalfOpen = true;
    });
  }
  if (event === 'connect' && state?.phase === 'ring' && !this.connecting && calledBy(TLS)) {
    process.nextTick(listener);
    return this;
  }
  return Reflect.apply(net.Socket.prototype.once, this, [event, listener]) as Socket;
}
Object.defineProperty(Socket.prototype, 'once', { configurable: true, writable: true, value: once });

type Getter = (this: net.Socket) => unknown;
const baseGetter = (name: string) => Object.getOwnPropertyDescriptor(net.Socket.prototype, name)?.get as Getter;

/** Getters are replaced on the prototype: node:net defines them there and not all are declared. */
function overrideGetter(name: string, get: (state: State, socket: Socket, base: () => unknown) => unknown): void {
  const inherited = baseGetter(name);
  Object.defineProperty(Socket.prototype, name, {
    configurable: true,
    enumerable: false,
    get(this: Socket) {
      const state = this[kState];
      return state === undefined ? inherited.call(this) : get(state, this, () => inherited.call(this));
    },
  });
}

overrideGetter('bytesRead', ({ stream, clc }, _socket, inherited) => stream?.bytesRead ?? Math.max(0, (inherited() as number) - clc.read));
overrideGetter(
  '_bytesDispatched',
  ({ stream, clc }, _socket, inherited) => stream?.bytesWritten ?? Math.max(0, (inherited() as number) - clc.written),
);
overrideGetter('bytesWritten', ({ stream, clc }, socket, inherited) => {
  if (stream !== undefined)
    return (
      stream.bytesWritten +
      (socket.destroyed ? 0 : stream.sender.pendingBytes((socket as unknown as { writableBuffer?: WriteRequest[] }).writableBuffer ?? []))
    );
  const bytes = inherited() as number | undefined;
  return bytes === undefined ? bytes : Math.max(0, bytes - clc.written);
});
overrideGetter('pending', ({ phase }, socket, inherited) => (phase === 'ring' ? socket.destroyed || socket.connecting : inherited()));
overrideGetter('bufferSize', ({ phase }, socket, inherited) =>
  phase === 'ring' && !socket.destroyed ? socket.writableLength : inherited(),
);
