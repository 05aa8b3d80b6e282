// records.ts - messages with their boundaries kept, over the byte ring.
//
//   +0  length   32 bits, machine byte order: bytes of the body; 0xffffffff = skip to the end of the ring
//   +4  body     `length` bytes
//   ... padding  to a multiple of 4, so that a length word is aligned and read by one load
//
// A record is contiguous: in memory that is not mirrored a filler record takes the rest of the ring when the next one
// would wrap. Hence the largest record is half the ring less its header.
// The peer can write anything: a length is read once, by an atomic load, and checked against what the cursor says is there.

import { SmcError } from '../errors.js';
import { expected, expectFunction } from '../given.js';
import type { RingConsumer } from './consumer.js';
import { checkBytes, type RingProducer } from './producer.js';
import { COPY_IN_BYTES } from './layout.js';
import { stage } from './stage.js';
import { load } from './words.js';

export const RECORD_HEADER_BYTES = 4;
const FILLER = -1;
/** So many small records at once are collected in private memory first. */
const COLLECTED_RECORDS = 8;

/** Largest body in a ring of `capacity` bytes. */
export function maxRecord(capacity: number): number {
  return capacity / 2 - RECORD_HEADER_BYTES;
}

const framed = (length: number) => (RECORD_HEADER_BYTES + length + 3) & ~3;

export class RecordWriter {
  readonly #ring: RingProducer;
  readonly #lengths: Int32Array;
  readonly maxRecord: number;

  constructor(ring: RingProducer) {
    this.#ring = ring;
    this.#lengths = new Int32Array(ring.data.buffer, ring.data.byteOffset, ring.data.length >> 2);
    this.maxRecord = maxRecord(ring.capacity);
  }

  /**
   * Copies records into the ring, from index `start` on, until one does not fit; returns how many were taken. They are
   * visible to the consumer after the caller publishes, all at once. Allocates nothing.
   * @throws SmcError `ERR_SMC_RECORD_TOO_LARGE`, `ERR_SMC_RING_MISUSE` for what is no bytes; records before it have been taken.
   */
  send(records: readonly Uint8Array[], start = 0): number {
    // Of what has a length each record is looked at.
    const counted = typeof (records as Partial<typeof records> | null | undefined)?.length === 'number';
    expected(counted, 'send', 'records', 'an array of records', records);
    const several = this.#ring.mirrored && records.length - start >= COLLECTED_RECORDS;
    let taken = 0;
    for (let i = start; i < records.length; i++) {
      const record = records[i] as Uint8Array;
      if (!(several && record.length < COPY_IN_BYTES ? this.#collect(record) : this.sendOne(record))) break;
      taken++;
    }
    return taken;
  }

  /** Free bytes that a record of `length` bytes needs at the place where it would go now, a filler before it included. */
  needed(length: number): number {
    const ring = this.#ring;
    const bytes = framed(length);
    const rest = ring.capacity - (ring.cursor & (ring.capacity - 1));
    return ring.mirrored || rest >= bytes ? bytes : rest + bytes;
  }

  /** As {@link needed}. @throws SmcError `ERR_SMC_RECORD_TOO_LARGE` */
  room(length: number): number {
    this.#checkLength(length);
    return this.needed(length);
  }

  /** As {@link send}, for one record: false when there is no room. */
  sendOne(record: Uint8Array): boolean {
    checkBytes(record);
    const { length } = record;
    this.#check(length);
    const ring = this.#ring;
    const bytes = framed(length);
    let at = ring.claim(bytes);
    if (at < 0) {
      if (ring.violated || !this.fill(bytes)) return false;
      at = ring.claim(bytes);
      if (at < 0) return false;
    }
    this.#lengths[at >> 2] = length;
    ring.copy(record, 0, length, at + RECORD_HEADER_BYTES);
    ring.advance(bytes);
    return true;
  }

  /** A small one of several: gets into the ring together with those after it. */
  #collect(record: Uint8Array): boolean {
    checkBytes(record);
    const { length } = record;
    this.#check(length);
    // Bytes of a stream may be in the stage, and the record's length has to be aligned there too.
    if ((stage.used & 3) !== 0) stage.owner?.flushStage();
    const at = this.#ring.collect(framed(length));
    if (at < 0) return false;
    stage.words[at >> 2] = length;
    stage.bytes.set(record, at + RECORD_HEADER_BYTES);
    return true;
  }

  #checkLength(length: number): void {
    if (length > this.maxRecord) {
      throw new SmcError('ERR_SMC_RECORD_TOO_LARGE', `a record of ${length} bytes; this ring takes up to ${this.maxRecord}`);
    }
  }

  #check(length: number): void {
    this.#checkLength(length);
    if ((this.#ring.cursor & 3) !== 0)
      throw new SmcError('ERR_SMC_RING_MISUSE', 'the ring has been written as a byte stream: no record can start here');
  }

  /** At the end of memory that is not mirrored: takes the rest of the ring with a filler, if record and filler fit. */
  private fill(bytes: number): boolean {
    const ring = this.#ring;
    const at = ring.cursor & (ring.capacity - 1);
    const rest = ring.capacity - at;
    if (rest >= bytes || ring.data.length > ring.capacity || ring.space(rest + bytes) < rest + bytes) return false;
    // Bytes of a stream that were collected belong right before the cursor, which is about to move: claim() has left them where
    // they are when it found no room, and room may have come since.
    ring.flushStage();
    this.#lengths[at >> 2] = FILLER;
    ring.advance(rest);
    return true;
  }
}

export class RecordReader {
  readonly #ring: RingConsumer;
  readonly #lengths: Int32Array;
  readonly #maxRecord: number;
  #scratch: Uint8Array = new Uint8Array(0);
  #scratchUsed = 0;

  constructor(ring: RingConsumer) {
    this.#ring = ring;
    this.#lengths = new Int32Array(ring.data.buffer, ring.data.byteOffset, ring.data.length >> 2);
    this.#maxRecord = maxRecord(ring.capacity);
  }

  /**
   * Hands up to `limit` records to `handler` as ranges of private memory (`bytes[offset .. offset + length)`), which the
   * peer cannot change and which stay as they are for whoever keeps them. Returns how many there were. The caller
   * publishes the release. A record cut off by a bad length is a violation: the ring then reads as empty.
   */
  receive(handler: (bytes: Uint8Array, offset: number, length: number) => void, limit = Number.MAX_SAFE_INTEGER): number {
    // A record that nobody is given would be lost.
    expectFunction(handler, 'receive', 'handler');
    const ring = this.#ring;
    const available = ring.available();
    if ((ring.offset & 3) !== 0)
      throw new SmcError('ERR_SMC_RING_MISUSE', 'the ring has been read as a byte stream: no record starts here');
    let done = 0; // bytes looked at in this call
    let count = 0;
    // One copy for the whole batch: copying record by record cost three times as much at 1 KiB.
    const copied = limit === 1 ? 0 : Math.min(available, 64 * 1024);
    const base = copied > 0 ? this.copyOut(copied, 0) : 0;
    while (count < limit && available - done >= RECORD_HEADER_BYTES && !ring.violated) {
      const at = ring.offset;
      const length = load(this.#lengths, at >> 2);
      if (length === FILLER) {
        const rest = ring.capacity - at;
        if (rest > available - done) return this.violate(count);
        ring.advance(rest);
        done += rest;
        continue;
      }
      const bytes = framed(length);
      if (length < 0 || length > this.#maxRecord || bytes > available - done) return this.violate(count);
      let from = base + done + RECORD_HEADER_BYTES;
      if (done + bytes > copied) from = this.copyOut(length, RECORD_HEADER_BYTES);
      const memory = this.#scratch;
      ring.advance(bytes);
      done += bytes;
      count++;
      const next = ring.cursor;
      handler(memory, from, length);
      // The handler has received itself: what this call has looked at is not what comes next any more.
      if (ring.cursor !== next || ring.closed) return count;
    }
    // Records are published whole: a piece of a length would be waited for without end.
    if (count < limit && done < available && !ring.violated) return this.violate(count);
    return count;
  }

  private violate(count: number): number {
    this.#ring.violated = true;
    return count;
  }

  /** Copies `length` bytes from `skip` ahead to fresh scratch memory (never reused); returns their offset there. */
  private copyOut(length: number, skip: number): number {
    if (this.#scratchUsed + length > this.#scratch.length) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(256 * 1024, length));
      this.#scratchUsed = 0;
    }
    const at = this.#scratchUsed;
    this.#ring.copy(this.#scratch, at, length, skip);
    this.#scratchUsed = (at + length + 7) & ~7;
    return at;
  }
}
