// producer.ts - the sending end of a ring. One per ring, used by one thread.
//
// Nothing here trusts what the other side can write: the consumer cursor is read once into a local and checked; our
// own cursor is a private number, stored for the other side and never read back. No method allocates unless it
// returns a view.

import { SmcError } from '../errors.js';
import { COPY_IN_BYTES, type RingMemory, WORD } from './layout.js';
import { STAGE_BYTES, stage } from './stage.js';
import { load, store } from './words.js';

/**
 * Is this memory of single bytes, as a Uint8Array or a Buffer is? Anything else with a length would arrive as other bytes.
 * @throws SmcError `ERR_SMC_RING_MISUSE`
 */
export function checkBytes(source: Uint8Array): void {
  // What is of another realm (vm contexts, some test runners) is told by its property, which costs more.
  if (!(source instanceof Uint8Array) && (source as Partial<Uint8Array> | null | undefined)?.BYTES_PER_ELEMENT !== 1) throw noBytes(source);
}

function noBytes(source: unknown): SmcError {
  const kind = (source as object | null | undefined)?.constructor?.name ?? String(source);
  return new SmcError('ERR_SMC_RING_MISUSE', `bytes are sent as Uint8Array or Buffer, not as ${kind}`);
}

export class RingProducer {
  // First what every message needs: with many connections its cache lines are what a message costs.
  readonly capacity: number;
  readonly #mask: number;
  readonly #mirrored: boolean;
  readonly #words: Int32Array;
  readonly #header: number;
  readonly #data: Buffer;
  /** Bytes written so far but not yet visible to the consumer. */
  unpublished = 0;
  #cursor = 0; // private copy of the producer cursor, unpublished bytes included
  #consumer = 0; // the consumer cursor as last read: a lower bound
  #kept: number | undefined; // from this cursor on, what the consumer gave back is not written over either
  #laps = 0; // how often the cursor has passed 2^32
  #reserved = 0;
  /** Set when the peer wrote a cursor that cannot be; the ring then reads as full. */
  violated = false;
  readonly #buffer: ArrayBufferLike;
  readonly #start: number;
  readonly #copyIn: RingMemory['copyIn'];

  constructor(memory: RingMemory) {
    this.capacity = memory.capacity;
    this.#words = memory.within?.words ?? memory.words;
    this.#header = memory.within?.at ?? 0;
    this.#data = memory.data;
    this.#buffer = memory.data.buffer;
    this.#start = memory.data.byteOffset;
    this.#mask = memory.capacity - 1;
    this.#mirrored = memory.mirrored;
    this.#copyIn = memory.copyIn;
  }

  /** Is the memory mapped twice in a row, so that no piece is ever split? */
  get mirrored(): boolean {
    return this.#mirrored;
  }

  /**
   * Total bytes written since the start, modulo 2^32, signed: what is more than 2^31 would be an object on the heap each time it
   * is looked at by code that is not inlined (seen: 18 bytes for each frame).
   */
  get cursor(): number {
    return this.#cursor;
  }

  /** Total bytes written since the start, those not yet visible included. */
  get total(): number {
    return this.#laps * 2 ** 32 + (this.#cursor >>> 0);
  }

  /** Free bytes; reads the shared cursor only if fewer than `wanted` are known to be free. */
  space(wanted: number): number {
    const given = this.#given(wanted);
    return this.#kept === undefined ? given : Math.min(given, this.capacity - ((this.#cursor - this.#kept) >>> 0));
  }

  /** Bytes that the consumer has given back or that were never used. */
  #given(wanted: number): number {
    let free = this.capacity - ((this.#cursor - this.#consumer) >>> 0);
    if (free >= wanted) return free;
    // pairs with RingConsumer.publish: bytes before this cursor have been read and may be overwritten
    const consumer = load(this.#words, this.#header + WORD.consumerCursor);
    const used = (this.#cursor - consumer) >>> 0;
    if (used > this.capacity || used > (this.#cursor - this.#consumer) >>> 0) {
      this.violated = true;
      return 0;
    }
    this.#consumer = consumer;
    free = this.capacity - used;
    return free;
  }

  /** Can a ring of this size ever have room for `length` bytes? @throws SmcError `ERR_SMC_RING_MISUSE` */
  checkRoom(length: number): void {
    if (Number.isInteger(length) && length >= 0 && length <= this.capacity) return;
    throw new SmcError('ERR_SMC_RING_MISUSE', `writable(${String(length)}) in a ring of ${this.capacity} bytes`);
  }

  /**
   * From now on the bytes from cursor `from` on count as used, also when the consumer has given them back: this side looks at what the
   * consumer has made of them. undefined: none. Must never go back.
   */
  keep(from: number | undefined): void {
    this.#kept = from;
  }

  /**
   * A view of `length` free bytes to fill in place, or undefined when there is no room. Valid until the next call on
   * this ring. In memory that is not mirrored it is shorter where the ring wraps.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for what is no number of bytes.
   */
  reserve(length: number): Uint8Array | undefined {
    if (!Number.isInteger(length)) throw new SmcError('ERR_SMC_RING_MISUSE', `reserve(${String(length)}): not a number of bytes`);
    if (length <= 0 || length > this.capacity || this.space(length) < length) return undefined;
    this.flushStage();
    const at = this.#cursor & this.#mask;
    const end = this.#mirrored ? at + length : Math.min(at + length, this.capacity);
    this.#reserved = end - at;
    return new Uint8Array(this.#buffer, this.#start + at, end - at);
  }

  /**
   * Makes the first `length` reserved bytes part of the stream and visible to the consumer.
   * @throws SmcError `ERR_SMC_RING_MISUSE` for more bytes than were reserved.
   */
  commit(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.#reserved)) {
      throw new SmcError('ERR_SMC_RING_MISUSE', `commit(${String(length)}) after reserving ${this.#reserved} bytes`);
    }
    this.#reserved = 0;
    this.advance(length);
    this.publish();
  }

  /** Copies as much of `source` as fits, from `start` to `end`; returns the bytes copied. Not visible until `publish`. */
  write(source: Uint8Array, start = 0, end = source.length): number {
    const wanted = end - start;
    if (wanted <= 0) return 0;
    const free = this.space(wanted);
    const length = Math.min(wanted, free);
    if (length === 0) return 0;
    this.flushStage();
    this.copy(source, start, length, this.#cursor & this.#mask);
    this.advance(length);
    return length;
  }

  /** Room for a direct write of up to `length` contiguous bytes: their offset in {@link data}, or -1. */
  claim(length: number): number {
    if (this.space(length) < length) return -1;
    this.flushStage();
    const at = this.#cursor & this.#mask;
    return this.#mirrored || at + length <= this.capacity ? at : -1;
  }

  /**
   * Takes room for `length` bytes, up to half of {@link STAGE_BYTES}, and counts them as written: their offset in
   * `stage.bytes`, or -1. The caller fills them in before it calls anything else; they get into the ring with what is
   * collected after them.
   */
  collect(length: number): number {
    if (this.space(length) < length) return -1;
    if (stage.owner !== this || stage.used + length > STAGE_BYTES) {
      stage.owner?.flushStage();
      stage.owner = this;
    }
    const at = stage.used;
    stage.used += length;
    this.advance(length);
    return at;
  }

  /** Copies what was collected to its place. Not visible until `publish`. */
  flushStage(): void {
    if (stage.owner !== this) return;
    stage.owner = undefined;
    const length = stage.used;
    stage.used = 0;
    if (length > 0) this.copy(stage.bytes, 0, length, (this.#cursor - length) & this.#mask);
  }

  /** The data bytes; with {@link claim} and {@link advance} the allocation-free way to write. */
  get data(): Buffer {
    return this.#data;
  }

  /** Counts `length` bytes as written without making them visible. The caller has made sure that they fit. */
  advance(length: number): void {
    const cursor = (this.#cursor + length) | 0;
    if (cursor >= 0 && this.#cursor < 0) this.#laps++;
    this.#cursor = cursor;
    this.unpublished += length;
  }

  /** Makes everything written so far visible. Pairs with RingConsumer.available. */
  publish(): void {
    if (this.unpublished === 0) return;
    this.unpublished = 0;
    this.flushStage();
    store(this.#words, this.#header + WORD.producerCursor, this.#cursor);
  }

  /**
   * Tells the consumer whether the producer waits for room. The caller must look at {@link space} again after
   * setting it: pairs with RingConsumer.publish, which stores its cursor first and then reads this word.
   */
  setWriteBlocked(blocked: boolean): void {
    store(this.#words, this.#header + WORD.writeBlocked, blocked ? 1 : 0);
  }

  /** Stores the connection state bits (CONN_STATE). Publish first: the consumer reads the state, then the cursor. */
  setState(bits: number): void {
    store(this.#words, this.#header + WORD.connState, bits);
  }

  /** Copies into the data at offset `at`, the quickest way for the length. There is room. */
  copy(source: Uint8Array, start: number, length: number, at: number): void {
    if (length >= COPY_IN_BYTES && this.#copyIn !== undefined) return this.#copyIn(at, source, start, length);
    const chunk = length === source.length ? source : source.subarray(start, start + length);
    const first = this.capacity - at;
    if (this.#mirrored || length <= first) {
      this.#data.set(chunk, at);
    } else {
      this.#data.set(chunk.subarray(0, first), at);
      this.#data.set(chunk.subarray(first), 0);
    }
  }
}
