// socket-state.ts - what a Socket holds while it is more than plain, and what the modules of this directory do to it that
// users can't: decide, move the handle in, or put a ring in its place.

import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import { type ResolvedOptions, resolveOptions, type SmcOptions } from '../options.js';
import { moveHandle, moveServer } from '../tcp/handle.js';
import type { Channel } from '../transport/channel.js';
import type { Decline } from '../transport/decline.js';
import type { ConnectOptions } from './arguments.js';
import { type OnRead, RingStream } from './ring-stream.js';
import type { RingSurface } from './ring-surface.js';
import type { Socket } from './socket.js';

export const kState = Symbol('smc.state');
export const kOptions = Symbol('smc.options');
export const kGiven = Symbol('smc.given');
export const kOnRead = Symbol('smc.onread');
export const kDeclines = Symbol('smc.declines');

/** What a socket has beyond a net.Socket once it is more than plain. */
export interface State {
  phase: 'undecided' | 'ring' | 'tcp';
  /** The plain socket that carries the handshake, then guards the ring. */
  inner: net.Socket | undefined;
  /** Ends the handshake in progress when the user destroys the socket. */
  abort: (() => void) | undefined;
  stream: RingStream | undefined;
  surface: RingSurface | undefined;
  sockname: net.AddressInfo | Record<string, never>;
  /** Bytes of CLC that went over the handle before it became this socket's. */
  clc: { read: number; written: number };
  unref: boolean;
  /** Keeps the loop alive in place of a TCP connection that has ended before the peer has, see Channel.suspect. */
  hold: NodeJS.Timeout | undefined;
  /** The asynchronous context of what the socket emits. */
  readonly scope: AsyncResource;
}

/** What modules of this directory do to a socket and users can't. */
export const control = {
  options: (socket: Socket): ResolvedOptions => socket[kOptions] ?? resolveOptions(undefined),

  /** Options given to connect() override those of the constructor; connect() of this library gives the same to both. */
  addOptions(socket: Socket, given: SmcOptions): ResolvedOptions {
    if (socket[kGiven] === given) return control.options(socket);
    const before = control.options(socket);
    const resolved = resolveOptions(given, before);
    if (resolved !== before) socket[kOptions] = resolved;
    return resolved;
  },

  phase: (socket: Socket): State['phase'] | undefined => socket[kState]?.phase,

  setOptions(socket: Socket, options: ResolvedOptions): void {
    socket[kOptions] = options;
  },

  setConnecting(socket: Socket, connecting: boolean): void {
    (socket as { connecting: boolean }).connecting = connecting;
  },

  /** No handle from now on, until {@link toRing} or {@link toTcp}. */
  undecided(socket: Socket, options: ConnectOptions | undefined, scope = new AsyncResource('SMCSOCKET')): void {
    const { onread } = (options ?? {}) as { onread?: OnRead | null };
    if (onread != null) socket[kOnRead] = onread;
    socket[kState] = {
      phase: 'undecided',
      inner: undefined,
      abort: undefined,
      stream: undefined,
      surface: undefined,
      sockname: {},
      clc: { read: 0, written: 0 },
      unref: false,
      hold: undefined,
      scope,
    };
  },

  setInner(socket: Socket, inner: net.Socket | undefined): void {
    const state = socket[kState];
    if (state === undefined) return;
    state.inner = inner;
    if (state.unref) inner?.unref();
  },

  setAbort(socket: Socket, abort: (() => void) | undefined): void {
    const state = socket[kState];
    if (state !== undefined) state.abort = abort;
  },

  /** Runs what emits on the socket in its own asynchronous context. */
  inScope(socket: Socket, run: () => void): void {
    const scope = socket[kState]?.scope;
    if (scope === undefined) run();
    else scope.runInAsyncScope(run);
  },

  setDeclines(socket: Socket, declines: readonly Decline[]): void {
    socket[kDeclines] = declines;
  },

  /**
   * The connection is TCP: the inner socket's handle becomes this socket's. Its first bytes are `rest`: for the caller to push
   * when the socket has said that it is connected.
   */
  toTcp(socket: Socket, inner: net.Socket, rest: Buffer): void {
    const state = socket[kState] as State;
    state.clc = { read: inner.bytesRead - rest.length, written: inner.bytesWritten };
    state.phase = 'tcp';
    state.inner = state.abort = undefined;
    moveServer(inner, socket);
    moveHandle(inner, socket);
    if (state.unref) socket.unref();
  },

  /** The connection is a ring, guarded by the inner socket. */
  toRing(socket: Socket, inner: net.Socket, channel: Channel, paused = false): void {
    const state = socket[kState] as State;
    const own = socket as unknown as { _peername: unknown };
    own._peername = { address: inner.remoteAddress, port: inner.remotePort, family: inner.remoteFamily };
    state.sockname = inner.address();
    state.phase = 'ring';
    state.inner = inner;
    state.abort = undefined;
    moveServer(inner, socket);
    const stream = new RingStream(socket, channel, socket[kOnRead], state.scope, paused);
    state.stream = stream;
    channel.setBusyPoll(control.options(socket).busyPoll);
    const closed = (reset: boolean) => {
      stream.onGuardClosed(reset, inner.readableEnded);
      if (stream.closed || channel.suspect === undefined || state.hold !== undefined) return;
      state.hold = setInterval(() => {}, 2 ** 30);
      if (state.unref) state.hold.unref();
    };
    inner.on('data', () => stream.violation('byte on the idle TCP connection'));
    inner.on('end', () => closed(false));
    inner.on('error', (error: NodeJS.ErrnoException) => closed(error.code === 'ECONNRESET'));
    inner.on('close', () => closed(false));
    inner.resume();
    // It may have ended in the handshake.
    if (inner.readableEnded || inner.destroyed) setImmediate(() => closed(false));
  },
};
