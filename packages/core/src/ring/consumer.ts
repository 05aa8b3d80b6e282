// consumer.ts - the receiving end of a ring. One per ring, used by one thread.
//
// The producer cursor is read once into a local and checked against the capacity; a cursor that cannot be is a
// violation, after which the ring reads as empty. The bytes themselves are as untrusted as the cursor: the peer can
// change them while they are looked at, so `copy` hands out private memory and `peek` says what it is.

import { SmcError } from '../errors.js';
import { type RingMemory, WORD } from './layout.js';
import { load, store } from './words.js';

/**
 * A live view of memory that the peer can still change. Read numbers from it or copy it; never give it to a decoder
 * that assumes stable input (`toString('utf8')`, `TextDecoder`, `JSON.parse`, zlib): on Node 20 and 22 those crash the
 * process when the bytes change under them.
 */
export type PeerView = Uint8Array & { readonly __peerView?: true };

export class RingConsumer {
  // First what every message needs: with many connections its cache lines are what a message costs.
  readonly capacity: number;
  readonly #mask: number;
  readonly #mirrored: boolean;
  readonly #words: Int32Array;
  readonly #header: number;
  // Asking the view for these is a call each time.
  readonly #buffer: ArrayBufferLike;
  readonly #start: number;
  /** Set when the peer wrote a cursor that cannot be; the ring then reads as empty. */
  violated = false;
  /** Bytes released but not yet announced to the producer. */
  unannounced = 0;
  #cursor = 0; // private copy of the consumer cursor
  #producer = 0; // the producer cursor as last read and checked
  #laps = 0; // how often the cursor has passed 2^32
  /** Set by the owner when nothing is to be handed out any more. */
  closed = false;
  readonly #data: Uint8Array;

  constructor(memory: RingMemory) {
    this.capacity = memory.capacity;
    this.#words = memory.within?.words ?? memory.words;
    this.#header = memory.within?.at ?? 0;
    this.#data = memory.data;
    this.#buffer = memory.data.buffer;
    this.#start = memory.data.byteOffset;
    this.#mask = memory.capacity - 1;
    this.#mirrored = memory.mirrored;
  }

  /**
   * Total bytes released since the start, modulo 2^32, signed: what is more than 2^31 would be an object on the heap each time it
   * is looked at by code that is not inlined (seen: 18 bytes for each frame).
   */
  get cursor(): number {
    return this.#cursor;
  }

  /** Total bytes released since the start. */
  get total(): number {
    return this.#laps * 2 ** 32 + (this.#cursor >>> 0);
  }

  /** Bytes that can be read. Pairs with RingProducer.publish: they are visible after this. */
  available(): number {
    const producer = load(this.#words, this.#header + WORD.producerCursor);
    const bytes = (producer - this.#cursor) >>> 0;
    // A cursor may neither pass the capacity nor go back behind what was already seen.
    if (bytes > this.capacity - this.unannounced || bytes < (this.#producer - this.#cursor) >>> 0) {
      this.violated = true;
      return 0;
    }
    this.#producer = producer;
    return bytes;
  }

  /** Bytes known to be readable since the last {@link available}, without looking again. */
  get known(): number {
    return (this.#producer - this.#cursor) >>> 0;
  }

  /** Has the producer published since the last {@link available}? One load. */
  fresh(): boolean {
    return load(this.#words, this.#header + WORD.producerCursor) !== this.#producer;
  }

  /** A live view of up to `limit` readable bytes, or undefined when there are none. Valid until they are released. */
  peek(limit = this.capacity): PeerView | undefined {
    const bytes = Math.min(this.available(), limit);
    if (bytes <= 0) return undefined;
    const at = this.#cursor & this.#mask;
    const length = this.#mirrored ? bytes : Math.min(bytes, this.capacity - at);
    // Not a Buffer: its decoders are what must not be called on this. Also three times as quick to make.
    return new Uint8Array(this.#buffer, this.#start + at, length);
  }

  /** Gives `length` bytes back without announcing it; {@link publish} does. */
  advance(length: number): void {
    const cursor = (this.#cursor + length) | 0;
    if (cursor >= 0 && this.#cursor < 0) this.#laps++;
    this.#cursor = cursor;
    this.unannounced += length;
  }

  /**
   * Gives `length` read bytes back to the producer.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more bytes than are readable.
   */
  release(length: number): void {
    this.checkRelease(length);
    this.advance(length);
    this.publish();
  }

  /** Can `length` bytes be given back? @throws SmcError `ERR_SMC_RING_MISUSE` */
  checkRelease(length: number): void {
    if (Number.isInteger(length) && length >= 0 && length <= this.known) return;
    throw new SmcError('ERR_SMC_RING_MISUSE', `release(${String(length)}) with ${this.known} bytes readable`);
  }

  /** Copies `length` readable bytes from `skip` bytes ahead into private memory. They stay in the ring. */
  copy(target: Uint8Array, at: number, length: number, skip = 0): void {
    const from = (this.#cursor + skip) & this.#mask;
    const first = this.capacity - from;
    if (this.#mirrored || length <= first) {
      // Not subarray, which takes twice as long for a Buffer.
      target.set(new Uint8Array(this.#buffer, this.#start + from, length), at);
    } else {
      target.set(this.#data.subarray(from, this.capacity), at);
      target.set(this.#data.subarray(0, length - first), at + first);
    }
  }

  /** Announces what was released. Pairs with RingProducer.space. Returns true when the producer waits for room. */
  publish(): boolean {
    if (this.unannounced === 0) return false;
    this.unannounced = 0;
    store(this.#words, this.#header + WORD.consumerCursor, this.#cursor);
    // pairs with RingProducer.setWriteBlocked: it stores that word, then reads our cursor; we do the reverse
    return load(this.#words, this.#header + WORD.writeBlocked) !== 0;
  }

  /** The peer's connection state bits (CONN_STATE). Read before {@link available}: bits first, then the last bytes. */
  state(): number {
    return load(this.#words, this.#header + WORD.connState);
  }

  /** The data bytes and the offset of the next readable one: the allocation-free way to look at the ring. */
  get data(): PeerView {
    return this.#data;
  }

  get offset(): number {
    return this.#cursor & this.#mask;
  }
}
