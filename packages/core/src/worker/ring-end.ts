// ring-end.ts - one end of a pair of rings in an event loop: a Duplex, and its ring. What ends of worker channels and of
// named segments have in common.

import { AsyncResource } from 'node:async_hooks';
import { Duplex } from 'node:stream';
import { type BusyPoll, resolveOptions } from '../options.js';
import { CONN_STATE } from '../ring/layout.js';
import type { WriteRequest } from '../socket/ring-sender.js';
import { RingStream, type StreamOwner } from '../socket/ring-stream.js';
import { RingSurface } from '../socket/ring-surface.js';
import type { SocketStats } from '../socket/socket.js';
import type { Channel } from '../transport/channel.js';

export interface RingEndOptions {
  /** Polling before sleeping: 'auto', 'off' or microseconds. Default: that of the process (`SMC_BUSY_POLL`), else 'auto'. */
  busyPoll?: BusyPoll;
  /** As in node:net: false (the default) ends this side when the peer has ended. */
  allowHalfOpen?: boolean;
  /** As of any stream, bytes. */
  readableHighWaterMark?: number;
  writableHighWaterMark?: number;
}

/** A channel that learns of the end of its peer by itself. */
export interface EndChannel extends Channel {
  /** The peer's end, thread or process is gone. Called once, unless this end closes first. */
  onLost: (() => void) | undefined;
  /** As ref() and unref() of a socket. */
  setRef(ref: boolean): void;
}

type Callback = (error?: Error | null) => void;

export abstract class RingEnd<C extends EndChannel> extends Duplex {
  /** @internal */
  protected readonly channel: C;
  /** @internal */
  protected readonly stream: RingStream;
  readonly #forget: () => void;
  #ring: RingSurface | undefined;

  /**
   * `claim` takes what this end is made of: from there on it is this end's, so what can be refused is refused before.
   * `atExit` has the given function called when the thread ends in order.
   * @internal
   */
  protected constructor(
    { allowHalfOpen = false, busyPoll, readableHighWaterMark, writableHighWaterMark }: RingEndOptions,
    claim: (busyPoll: BusyPoll) => C,
    atExit: (leave: () => void) => () => void,
  ) {
    const resolved = resolveOptions(busyPoll === undefined ? {} : { busyPoll });
    super({
      allowHalfOpen,
      decodeStrings: false,
      ...(readableHighWaterMark === undefined ? {} : { readableHighWaterMark }),
      ...(writableHighWaterMark === undefined ? {} : { writableHighWaterMark }),
    });
    const channel = claim(resolved.busyPoll);
    const stream = new RingStream(this as unknown as StreamOwner, channel, undefined, new AsyncResource('SMCCHANNEL'));
    this.channel = channel;
    this.stream = stream;
    // Without a word of the peer that it has finished, its end was sudden. Pairs with RingStream.close.
    channel.onLost = () => stream.onGuardClosed((channel.rx.state() & (CONN_STATE.closed | CONN_STATE.sendingDone)) === 0, false);
    this.#forget = atExit(() => this.leave());
  }

  /** The thread ends with this end open: the peer is told, and nobody is called back. @internal */
  protected abstract leave(): void;

  /** As of a connection: rings in shared memory. */
  get transport(): 'memory' {
    return 'memory';
  }

  /** The zero-copy side, the same object each time. Its first receiving call takes the receiving direction over. */
  get ring(): RingSurface {
    this.#ring ??= new RingSurface(this.stream);
    return this.#ring;
  }

  /** Bytes of payload received and sent so far, by stream and ring together. */
  get bytesRead(): number {
    return this.stream.bytesRead;
  }

  /** As in node:net, bytes included that still wait for room. */
  get bytesWritten(): number {
    const { sender, bytesWritten } = this.stream;
    const buffered = (this as unknown as { writableBuffer?: WriteRequest[] }).writableBuffer ?? [];
    return bytesWritten + (this.destroyed ? 0 : sender.pendingBytes(buffered));
  }

  /** Counters, as those of a socket. */
  stats(): SocketStats {
    const { transport, bytesRead, bytesWritten } = this;
    const { rx, tx, counters } = this.channel;
    return { transport, bytesRead, bytesWritten, ringSize: { local: rx.capacity, peer: tx.capacity }, ...counters };
  }

  /** Keeps the event loop alive while this end is open: the state it begins in. */
  ref(): this {
    this.channel.setRef(true);
    return this;
  }

  /** Lets the event loop end although this end is open. */
  unref(): this {
    this.channel.setRef(false);
    return this;
  }

  /**
   * Changes how this end polls before it sleeps.
   * @throws SmcError `ERR_SMC_INVALID_OPTION`
   */
  setBusyPoll(mode: BusyPoll): this {
    this.channel.setBusyPoll(resolveOptions({ busyPoll: mode }).busyPoll);
    return this;
  }

  /** Closes at once; the peer gets `ECONNRESET` after what was sent. */
  resetAndDestroy(): this {
    if (this.destroyed) return this;
    this.stream.close(true);
    return this.destroy();
  }

  override _read(): void {
    this.stream.read();
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: Callback): void {
    this.stream.sender.write(chunk, encoding, callback);
  }

  override _writev(chunks: WriteRequest[], callback: Callback): void {
    this.stream.sender.writev(chunks, callback);
  }

  override _final(callback: Callback): void {
    this.stream.sender.final(callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#forget();
    this.stream.close(false);
    // setImmediate: where a native handle would call back.
    setImmediate(callback, error);
  }

  /** What a socket's idle timer would be told. */
  protected _unrefTimer(): void {}
}
