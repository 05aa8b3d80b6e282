// ring-surface.ts - `socket.ring`: the zero-copy side of a ring connection. Same bytes, same order as the stream.

import type { PeerView } from '../ring/consumer.js';
import { checkBytes } from '../ring/producer.js';
import { RecordReader, RecordWriter } from '../ring/records.js';
import { PIECE_BYTES } from './ring-sender.js';
import type { RingStream } from './ring-stream.js';

/** Looks at the ring, 5 ns each, before a polling loop goes its round. */
const LINGER_LOOKS = 100;
/** Callbacks in a row until it does, and the time after which it does it earlier, looked at every so many callbacks. */
const LINGER_ROUNDS = 64;
const LINGER_MS = 0.05;
const LINGER_CLOCK = 16;

interface RoomWaiter {
  readonly bytes: number;
  readonly resolve: (room: boolean) => void;
}

/**
 * The rings of a connection, in place. All lengths are bytes.
 *
 * Sending: `reserve` a view, fill it, `commit`; or `send` records. Receiving: `peek` a view, look at it, `release`; or
 * `receive` records. The first use of a receiving call (`peek`, `receive`, `readable`, setting `onreadable`) takes the
 * receiving direction over from the stream for good: 'data' is not emitted any more ('end' is). Nothing here allocates per
 * message but the views themselves.
 *
 * Both ends must agree on bytes or records: records cannot start in a direction that was used as a byte stream, unless
 * a multiple of 4 bytes went before. After the socket was destroyed there is no room and nothing to read, and views have
 * length 0 once the memory is unmapped.
 */
export class RingSurface {
  #onreadable: (() => void) | undefined;
  /**
   * Called from the loop when room may have come after `reserve` or `send` found none. Also called for other news of the
   * peer and when either side closes: look again.
   */
  onwritable: (() => void) | undefined;

  readonly #stream: RingStream;
  #writer: RecordWriter | undefined;
  #reader: RecordReader | undefined;
  #readers: ((more: boolean) => void)[] = [];
  #writers: RoomWaiter[] = [];

  constructor(stream: RingStream) {
    this.#stream = stream;
    stream.writer = () => this.#onRoom();
  }

  /** The connection under a ring, for the typed frames of this package. @internal */
  static streamOf(ring: RingSurface): RingStream {
    return ring.#stream;
  }

  /** Bytes of the ring we write (the peer's `ringSize`) and of the ring we read (ours). */
  get capacity(): { readonly tx: number; readonly rx: number } {
    const { tx, rx } = this.#stream.channel;
    return { tx: tx.capacity, rx: rx.capacity };
  }

  /** Bytes of the largest record `send` takes: half the ring we write, less 4. */
  get maxRecord(): number {
    return this.#records().maxRecord;
  }

  /**
   * A view of exactly `length` bytes of the peer's ring to fill in place; undefined when there is no room now (see
   * {@link writable}), while the stream still has unwritten chunks, and when either side has closed. The memory is the
   * peer's ring: lent until `commit` or the next sending call, not to be kept. Over memory and smcr it is shorter
   * where the ring wraps.
   */
  reserve(length: number): Uint8Array | undefined {
    if (!this.#sendable()) return undefined;
    const view = this.#stream.channel.tx.reserve(length);
    if (view === undefined) this.#block(length);
    return view;
  }

  /**
   * Sends the first `length` bytes of the reserved view and wakes the peer if it sleeps. Nothing happens on a socket that
   * was destroyed.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more than was reserved.
   */
  commit(length: number): void {
    const { channel, closed } = this.#stream;
    if (closed) return;
    channel.tx.commit(length);
    channel.notify(true);
  }

  /**
   * Copies as many bytes of `source`, from `start` on, as there is room for and sends them; returns how many (none while
   * the stream still has unwritten chunks, and after either side has closed). For bytes that are in memory already, and
   * many of them, quicker than a view from `reserve`: the copy goes past the caches where that pays.
   */
  write(source: Uint8Array, start = 0): number {
    checkBytes(source);
    if (!this.#sendable()) return 0;
    const { tx } = this.#stream.channel;
    let at = start;
    while (at < source.length) {
      const bytes = tx.write(source, at, Math.min(at + PIECE_BYTES, source.length));
      at += bytes;
      this.#stream.sender.publish();
      if (bytes === 0 && !this.#block(1)) break;
    }
    return at - start;
  }

  /**
   * Resolves to true when `length` bytes can be reserved, to false when the peer or this side has closed. Who waits is
   * answered in order; the first to reserve may take the room of the next.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more than the ring holds, and for what is no number of bytes.
   */
  writable(length = 1): Promise<boolean> {
    this.#stream.channel.tx.checkRoom(length);
    if (!this.#sendable() && this.#over) return Promise.resolve(false);
    if (this.#sendable() && this.#stream.channel.tx.space(length) >= length) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#writers.push({ bytes: length, resolve });
      this.#tryWaiting();
    });
  }

  /**
   * What to ask {@link writable} for so that a record of `length` bytes can be sent: the record with its header and, where
   * the ring wraps, what has to be left empty before it.
   * @throws SmcError `ERR_SMC_RECORD_TOO_LARGE`
   */
  roomFor(length: number): number {
    return this.#records().room(length);
  }

  /**
   * Sends records, boundaries kept, from index `start` on; returns how many were taken (fewer when there is no room, none
   * while the stream still has unwritten chunks). They are copied: the caller's memory can be used again at once.
   * @throws SmcError `ERR_SMC_RECORD_TOO_LARGE` for a record above {@link maxRecord}; those before it have been sent.
   * @throws SmcError `ERR_SMC_RING_MISUSE` where no record can start, and for what is no Uint8Array.
   */
  send(records: readonly Uint8Array[], start = 0): number {
    let at = start;
    while (this.#sendable()) {
      at += this.#send(records, at);
      const next = records[at];
      if (next === undefined || !this.#block(this.#records().needed(next.length))) break;
    }
    return Math.max(at - start, 0);
  }

  #send(records: readonly Uint8Array[], start: number): number {
    try {
      return this.#records().send(records, start);
    } finally {
      this.#stream.sender.publish();
    }
  }

  /**
   * A live view of up to `limit` received bytes (default: all there are), or undefined when there are none. The memory is
   * lent until `release`; the peer can still change it: see {@link PeerView} for what must not be done with it.
   */
  peek(limit?: number): PeerView | undefined {
    this.#takeOver();
    return this.#stream.closed ? undefined : this.#stream.channel.rx.peek(limit);
  }

  /**
   * Gives the first `length` peeked bytes back; that part of the view must not be used any more: the peer writes there.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more than is readable.
   */
  release(length: number): void {
    const { channel, closed } = this.#stream;
    if (closed) return;
    channel.rx.checkRelease(length);
    channel.rx.advance(length);
    if (channel.rx.publish()) channel.notify();
    if (channel.rx.known === 0) this.#stream.noteState();
  }

  /**
   * Hands up to `limit` received records (default: all there are) to `handler` as ranges `bytes[offset .. offset + length)`
   * of private memory, the receiver's to keep; returns how many there were. A record the handler throws at is taken.
   * A length that cannot be destroys the socket with `ERR_SMC_PEER_VIOLATION`.
   * @throws SmcError `ERR_SMC_RING_MISUSE` where no record starts.
   */
  receive(handler: (bytes: Uint8Array, offset: number, length: number) => void, limit?: number): number {
    this.#takeOver();
    if (this.#stream.closed) return 0;
    const { channel } = this.#stream;
    this.#reader ??= new RecordReader(channel.rx);
    try {
      return this.#reader.receive(handler, limit);
    } finally {
      if (!this.#stream.closed) {
        if (channel.rx.publish()) channel.notify();
        if (channel.rx.violated) this.#stream.violation('record length');
        else if (channel.rx.known === 0) this.#stream.noteState();
      }
    }
  }

  /**
   * Resolves to true when there are bytes to peek, to false when the peer has ended and everything was read, or this side
   * was destroyed. Everybody who waits is told.
   */
  readable(): Promise<boolean> {
    this.#takeOver();
    if (!this.#stream.closed && this.#stream.channel.rx.available() > 0) return Promise.resolve(true);
    if (this.#stream.closed || this.#stream.ended) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#readers.push(resolve);
    });
  }

  /**
   * Called from the loop when there are bytes to peek, and once when the peer has ended. While messages come in a row it
   * may be called up to 65 times before ticks and promises have their turn.
   */
  get onreadable(): (() => void) | undefined {
    return this.#onreadable;
  }

  set onreadable(callback: (() => void) | undefined) {
    this.#onreadable = callback;
    if (callback === undefined) return;
    this.#takeOver();
    // What is there already has had its news.
    if (!this.#stream.closed && this.#stream.channel.rx.available() > 0) this.#stream.channel.again();
  }

  get #over(): boolean {
    return this.#stream.closed || this.#stream.peerClosed;
  }

  #sendable(): boolean {
    return !this.#over && this.#stream.sender.idle;
  }

  #records(): RecordWriter {
    this.#writer ??= new RecordWriter(this.#stream.channel.tx);
    return this.#writer;
  }

  /** Asks the peer to tell us of room, then looks again: true when there is some after all. */
  #block(bytes: number): boolean {
    return !this.#over && this.#stream.sender.askForRoom(bytes);
  }

  #onRoom(): void {
    this.#tryWaiting();
    this.onwritable?.();
  }

  /** Answers who waits for room, if there is an answer now; while the stream writes there is none. */
  #tryWaiting(): void {
    while (this.#writers.length > 0 && (this.#over || this.#stream.sender.idle)) {
      const { bytes, resolve } = this.#writers[0] as RoomWaiter;
      const room = this.#sendable() && (this.#stream.channel.tx.space(bytes) >= bytes || this.#block(bytes));
      if (!room && !this.#over) return;
      this.#writers.shift();
      resolve(room);
    }
  }

  /** Answers who waits for bytes. */
  #tell(more: boolean): void {
    if (this.#readers.length === 0) return;
    const readers = this.#readers;
    this.#readers = [];
    for (const resolve of readers) resolve(more);
  }

  #takeOver(): void {
    if (this.#stream.reader === undefined) this.#stream.reader = this.#onNews;
  }

  /** Not made where it is used: a method with a closure in it costs each of its calls 40 bytes. */
  readonly #onNews = (): void => {
    const { channel, closed, ended } = this.#stream;
    const over = closed || ended;
    if (!over && channel.rx.available() === 0) {
      if (channel.rx.violated) this.#stream.violation('producer cursor');
      else this.#endIfOver();
      return;
    }
    this.#tell(!over);
    const callback = this.#onreadable;
    if (callback === undefined) return;
    callback();
    if (channel.hot) this.#linger(callback);
  };

  /**
   * While the loop polls anyway, looks a little longer for the answer to what the callback sent: going back to the native
   * part and coming again costs more than the whole round trip.
   */
  #linger(callback: () => void): void {
    const { rx } = this.#stream.channel;
    let end = 0;
    for (let round = 1; round <= LINGER_ROUNDS; round++) {
      let looks = LINGER_LOOKS;
      while (!rx.fresh()) if (--looks === 0) return;
      if (this.#stream.closed || this.#onreadable !== callback || rx.available() === 0) return;
      callback();
      if (round % LINGER_CLOCK !== 0) continue;
      const now = performance.now();
      if (end === 0) end = now + LINGER_MS;
      else if (now > end) return;
    }
  }

  /** The end has no bytes: whoever waits learns it here. */
  #endIfOver(): void {
    this.#stream.noteState();
    if (!this.#stream.ended && !this.#stream.closed) return;
    this.#tell(false);
    this.#onreadable?.();
  }
}
