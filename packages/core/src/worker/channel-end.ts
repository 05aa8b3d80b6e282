// channel-end.ts - one end of a worker channel in an event loop: a Duplex, and its ring.

import { AsyncResource } from 'node:async_hooks';
import { Duplex } from 'node:stream';
import { type BusyPoll, resolveOptions } from '../options.js';
import { CONN_STATE } from '../ring/layout.js';
import type { WriteRequest } from '../socket/ring-sender.js';
import { RingStream, type StreamOwner } from '../socket/ring-stream.js';
import { RingSurface } from '../socket/ring-surface.js';
import type { SocketStats } from '../socket/socket.js';
import { atExit } from './exit.js';
import { claim, type WorkerPort } from './port.js';
import { WorkerChannel } from './worker-channel.js';

export interface ChannelEndOptions {
  /** Polling before sleeping: 'auto', 'off' or microseconds. Default: that of the process (`SMC_BUSY_POLL`), else 'auto'. */
  busyPoll?: BusyPoll;
  /** As in node:net: false (the default) ends this side when the peer has ended. */
  allowHalfOpen?: boolean;
  /** As of any stream, bytes. */
  readableHighWaterMark?: number;
  writableHighWaterMark?: number;
}

type Callback = (error?: Error | null) => void;

/**
 * One end of a worker channel: a Duplex of bytes with the behaviour of a connected socket, and {@link ring}, the zero-copy
 * side of the same bytes. It keeps the event loop alive until it is closed, or {@link unref} is called. To be used by the
 * thread that opened it.
 *
 * When the peer's thread ends in order (also by process.exit()) this end reads what is there, then 'end'. When it is
 * terminated: what was published, then an 'error' with code `ECONNRESET`; never a part of a record or frame. Other errors:
 * `ERR_SMC_PEER_VIOLATION` (the ring was overwritten), and `EPIPE` and `ECONNRESET` of writes, as in node:net.
 */
export class ChannelEnd extends Duplex {
  readonly #channel: WorkerChannel;
  readonly #stream: RingStream;
  readonly #forget: () => void;
  #ring: RingSurface | undefined;

  /** @throws SmcError as {@link open} */
  constructor(port: WorkerPort, options: ChannelEndOptions = {}) {
    const { allowHalfOpen = false, busyPoll, readableHighWaterMark, writableHighWaterMark } = options;
    const resolved = resolveOptions(busyPoll === undefined ? {} : { busyPoll });
    super({
      allowHalfOpen,
      decodeStrings: false,
      ...(readableHighWaterMark === undefined ? {} : { readableHighWaterMark }),
      ...(writableHighWaterMark === undefined ? {} : { writableHighWaterMark }),
    });
    // What can be refused has been: from here on the port is this end's.
    const channel = new WorkerChannel(claim(port), resolved.busyPoll);
    const stream = new RingStream(this as unknown as StreamOwner, channel, undefined, new AsyncResource('SMCCHANNEL'));
    this.#channel = channel;
    this.#stream = stream;
    // Without a word of the peer that it has finished, its end was sudden. Pairs with RingStream.close.
    channel.onLost = () => stream.onGuardClosed((channel.rx.state() & (CONN_STATE.closed | CONN_STATE.sendingDone)) === 0);
    this.#forget = atExit(() => channel.leave());
  }

  /** As of a connection: rings in shared memory. */
  get transport(): 'memory' {
    return 'memory';
  }

  /** The zero-copy side, the same object each time. Its first receiving call takes the receiving direction over. */
  get ring(): RingSurface {
    this.#ring ??= new RingSurface(this.#stream);
    return this.#ring;
  }

  /** Bytes of payload received and sent so far, by stream and ring together. */
  get bytesRead(): number {
    return this.#stream.bytesRead;
  }

  /** As in node:net, bytes included that still wait for room. */
  get bytesWritten(): number {
    const { sender } = this.#stream;
    const buffered = (this as unknown as { writableBuffer?: WriteRequest[] }).writableBuffer ?? [];
    return sender.bytes + (this.destroyed ? 0 : sender.pendingBytes(buffered));
  }

  /** Counters, as those of a socket. `doorbells`: times the peer slept and was woken. */
  stats(): SocketStats {
    const { transport, bytesRead, bytesWritten } = this;
    const { rx, tx, counters } = this.#channel;
    return { transport, bytesRead, bytesWritten, ringSize: { local: rx.capacity, peer: tx.capacity }, ...counters };
  }

  /** Keeps the event loop alive while this end is open: the state it begins in. */
  ref(): this {
    this.#channel.setRef(true);
    return this;
  }

  /** Lets the event loop end although this end is open. It does not poll then: news always wake it. */
  unref(): this {
    this.#channel.setRef(false);
    return this;
  }

  /**
   * Changes how this end polls before it sleeps.
   * @throws SmcError `ERR_SMC_INVALID_OPTION`
   */
  setBusyPoll(mode: BusyPoll): this {
    this.#channel.setBusyPoll(resolveOptions({ busyPoll: mode }).busyPoll);
    return this;
  }

  /** Closes at once; the peer gets `ECONNRESET` after what was sent. */
  resetAndDestroy(): this {
    if (this.destroyed) return this;
    this.#stream.close(true);
    return this.destroy();
  }

  override _read(): void {
    this.#stream.read();
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, callback: Callback): void {
    this.#stream.sender.write(chunk, encoding, callback);
  }

  override _writev(chunks: WriteRequest[], callback: Callback): void {
    this.#stream.sender.writev(chunks, callback);
  }

  override _final(callback: Callback): void {
    this.#stream.sender.final(callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#forget();
    this.#stream.close(false);
    // setImmediate: where a native handle would call back.
    setImmediate(callback, error);
  }

  /** What a socket's idle timer would be told. */
  protected _unrefTimer(): void {}
}

/**
 * Opens a port in this thread. What the other side has sent already is there; what is sent before the other side opens its
 * port waits in the ring.
 * @throws SmcError `ERR_SMC_INVALID_PORT`, `ERR_SMC_PORT_IN_USE` (each port is one end's), `ERR_SMC_INVALID_OPTION`
 */
export function open(port: WorkerPort, options?: ChannelEndOptions): ChannelEnd {
  return new ChannelEnd(port, options);
}
