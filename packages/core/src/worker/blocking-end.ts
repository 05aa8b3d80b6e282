// blocking-end.ts - one end of a worker channel for a thread that computes: its calls wait, no event loop is needed.

import { SmcError } from '../errors.js';
import { type BusyPoll, resolveOptions } from '../options.js';
import type { PeerView } from '../ring/consumer.js';
import { checkBytes } from '../ring/producer.js';
import { RecordReader, RecordWriter } from '../ring/records.js';
import type { SocketStats } from '../socket/socket.js';
import { BlockingLink } from './blocking-link.js';
import { claim, type WorkerPort } from './port.js';

export interface BlockingEndOptions {
  /** Polling before sleeping: 'auto', 'off' or microseconds. Default: that of the process (`SMC_BUSY_POLL`), else 'auto'. */
  busyPoll?: BusyPoll;
  /**
   * This thread has a processor to itself: `readable` and `writable` look without ever sleeping, so that what comes after any
   * silence is seen at once and whoever sends never has to wake anybody. A whole processor is busy all the time, `busyPoll`
   * means nothing, and other work in need of that processor suffers. Default false. See {@link exclusive}.
   */
  exclusive?: boolean;
}

/**
 * One end of a worker channel that blocks its thread while it waits (`Atomics.wait`). The verbs are those of
 * {@link RingSurface}; the peer may be either kind of end. Lengths are bytes, times milliseconds.
 *
 * When the peer has reset or its thread was terminated, and everything it published was read, receiving calls throw
 * `ECONNRESET`; the end of a thread is noticed within a second. Sending to a peer that has closed takes nothing, see
 * {@link writable}. Any call may throw `ERR_SMC_PEER_VIOLATION` when the ring was overwritten, and this end is closed then.
 * It has no stream side and keeps no event loop alive.
 */
export class BlockingEnd {
  /** @internal */
  readonly link: BlockingLink;
  readonly #writer: RecordWriter;
  readonly #reader: RecordReader;

  /** @throws SmcError as {@link openBlocking} */
  constructor(port: WorkerPort, { busyPoll, exclusive = false }: BlockingEndOptions = {}) {
    const resolved = resolveOptions(busyPoll === undefined ? {} : { busyPoll });
    if (typeof exclusive !== 'boolean') throw new SmcError('ERR_SMC_INVALID_OPTION', 'option exclusive must be true or false');
    this.link = new BlockingLink(claim(port), resolved.busyPoll, exclusive);
    this.#writer = new RecordWriter(this.link.tx);
    this.#reader = new RecordReader(this.link.rx);
  }

  /** Bytes of the ring we write and of the ring we read. */
  get capacity(): { readonly tx: number; readonly rx: number } {
    return { tx: this.link.tx.capacity, rx: this.link.rx.capacity };
  }

  /** Bytes of the largest record {@link send} takes. */
  get maxRecord(): number {
    return this.#writer.maxRecord;
  }

  /** Does this end never sleep? False also when it was asked for and only one processor is usable. */
  get exclusive(): boolean {
    return this.link.exclusive;
  }

  /** Has this end been closed? */
  get closed(): boolean {
    return !this.link.open;
  }

  /** Will nothing more come, and was everything read? */
  get ended(): boolean {
    return this.link.ended;
  }

  /**
   * Waits until there are bytes to read: true. False when `timeout` is over, or nothing more will come: {@link ended} tells.
   * @throws `ECONNRESET`
   */
  readable(timeout = Number.POSITIVE_INFINITY): boolean {
    return this.link.waitForBytes(timeout);
  }

  /**
   * Waits until `length` bytes can be reserved: true. False when `timeout` is over, or either side has closed.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more than the ring holds.
   */
  writable(length = 1, timeout = Number.POSITIVE_INFINITY): boolean {
    this.link.tx.checkRoom(length);
    return this.link.waitForRoom(length, timeout);
  }

  /** As {@link RingSurface.reserve}: shorter where the ring wraps; undefined when there is no room now, or either side closed. */
  reserve(length: number): Uint8Array | undefined {
    return this.link.sendable ? this.link.tx.reserve(length) : undefined;
  }

  /** @throws SmcError `ERR_SMC_RING_MISUSE` for more than was reserved. */
  commit(length: number): void {
    if (!this.link.sendable) return;
    this.link.tx.commit(length);
    if (length > 0) this.link.sent();
  }

  /** Copies as many bytes from `start` on as there is room for and sends them; returns how many. */
  write(source: Uint8Array, start = 0): number {
    checkBytes(source);
    if (!this.link.sendable) return 0;
    const bytes = this.link.tx.write(source, start);
    this.link.checkWords();
    if (bytes > 0) this.link.sent();
    return bytes;
  }

  /** What to ask {@link writable} for so that a record fits, as {@link RingSurface.roomFor}. @throws SmcError `ERR_SMC_RECORD_TOO_LARGE` */
  roomFor(length: number): number {
    return this.#writer.room(length);
  }

  /**
   * Sends records from index `start` on; returns how many there was room for.
   * @throws SmcError `ERR_SMC_RECORD_TOO_LARGE`, `ERR_SMC_RING_MISUSE` as {@link RingSurface.send}
   */
  send(records: readonly Uint8Array[], start = 0): number {
    if (!this.link.sendable) return 0;
    const { tx } = this.link;
    const before = tx.cursor;
    try {
      return this.#writer.send(records, start);
    } finally {
      if (tx.cursor !== before) this.link.sent();
      this.link.checkWords();
    }
  }

  /** A live view of up to `limit` received bytes, or undefined, as {@link RingSurface.peek}. @throws `ECONNRESET` */
  peek(limit?: number): PeerView | undefined {
    if (!this.link.open) return undefined;
    const view = this.link.rx.peek(limit);
    if (view === undefined) this.link.checkEnd();
    return view;
  }

  /** @throws SmcError `ERR_SMC_RING_MISUSE` for more than is readable. */
  release(length: number): void {
    if (!this.link.open) return;
    const { rx } = this.link;
    rx.checkRelease(length);
    rx.advance(length);
    this.link.taken();
  }

  /**
   * Hands up to `limit` received records (default: all there are) to `handler`, as {@link RingSurface.receive}; returns how
   * many there were.
   * @throws `ECONNRESET`; SmcError `ERR_SMC_RING_MISUSE` where no record starts
   */
  receive(handler: (bytes: Uint8Array, offset: number, length: number) => void, limit?: number): number {
    if (!this.link.open) return 0;
    const { rx } = this.link;
    let count = 0;
    try {
      count = this.#reader.receive(handler, limit);
    } finally {
      this.link.taken();
    }
    if (rx.violated && this.link.open) this.link.violation('record length');
    if (count === 0) this.link.checkEnd();
    return count;
  }

  /** No more bytes follow those sent; receiving goes on. */
  end(): void {
    this.link.finish();
  }

  /** Closes this end; with unread bytes the peer sees a reset, as on a socket. Idempotent. */
  close(): void {
    this.link.close(false);
  }

  [Symbol.dispose](): void {
    this.link.close(false);
  }

  /** Closes this end; the peer gets `ECONNRESET` after what was sent. */
  reset(): void {
    this.link.close(true);
  }

  /** Counters, as those of a socket. */
  stats(): SocketStats {
    const { rx, tx, counters } = this.link;
    return {
      transport: 'memory',
      bytesRead: rx.total,
      bytesWritten: tx.total,
      ringSize: { local: rx.capacity, peer: tx.capacity },
      ...counters,
    };
  }
}

/**
 * Opens a port in this thread for calls that block it. On a thread whose event loop has other work take {@link open}.
 * @throws SmcError `ERR_SMC_INVALID_PORT`, `ERR_SMC_PORT_IN_USE`, `ERR_SMC_INVALID_OPTION`
 */
export function openBlocking(port: WorkerPort, options?: BlockingEndOptions): BlockingEnd {
  return new BlockingEnd(port, options);
}
