// payload.ts - what the measured bytes contain, so that a consumer can tell whether it got all of them in order.
//
//   every 64-byte line:  +0  counter, 32 bits: 0, 1, 2 ... modulo 2^31, one counter per direction of a connection
//                        +4  60 bytes of no meaning
//   the end mark is one line of its own whose counter has the top bit set
//
// The producer stamps each line, the consumer reads one word of each: both ends touch every cache line, as a program
// with a use for the data would. A word that is not the next counter fails the benchmark.

import { MeasureError } from './errors.js';

export const LINE = 64;
const END = 0x8000_0000 | 0;
const COUNTER = 0x7fff_ffff;
/** Bytes that are looked at one by one. */
const FEW = 4 * LINE;
const NOTHING = new Int32Array(0);

/** Stamped messages to send. */
export class Payload {
  readonly #buffers: Buffer[] = [];
  readonly #words: Int32Array;
  readonly #end: Buffer;
  readonly #lines: number;
  #turn = 0;
  #counter = 0;

  /** @param retained bytes a port may still read after write() returned: so much must not be stamped again. */
  constructor(bytes: number, retained: number) {
    if (bytes % LINE !== 0) throw new RangeError(`a message is a multiple of ${LINE} bytes`);
    const count = Math.ceil((2 * retained) / bytes) + 2;
    const memory = new ArrayBuffer(count * bytes + LINE);
    for (let i = 0; i < count; i++) this.#buffers.push(Buffer.from(memory, i * bytes, bytes));
    this.#end = Buffer.from(memory, count * bytes, LINE);
    this.#words = new Int32Array(memory);
    this.#lines = bytes / LINE;
  }

  /** The next message. Its memory is used again after `retained` more bytes. */
  next(): Buffer {
    const turn = this.#turn;
    const words = this.#words;
    const first = turn * this.#lines;
    let counter = this.#counter;
    for (let line = first; line < first + this.#lines; line++) {
      words[line << 4] = counter;
      counter = (counter + 1) & COUNTER;
    }
    this.#counter = counter;
    this.#turn = turn + 1 === this.#buffers.length ? 0 : turn + 1;
    return this.#buffers[turn] as Buffer;
  }

  /** One line that says: this was all. */
  end(): Buffer {
    this.#end.writeInt32LE(this.#counter | END, 0);
    this.#counter = (this.#counter + 1) & COUNTER;
    return this.#end;
  }
}

/** Checks a stream of stamped lines, in whatever pieces it arrives. */
export class Checker {
  /** Set when the last line seen was an end mark; whoever acts on it clears it. */
  ended = false;
  #expected = 0;
  #at = 0; // position in the current line
  #word = 0; // its first word, as far as seen
  #bytes: Uint8Array | undefined;
  #words: Int32Array = NOTHING;
  #offset = 0; // of #bytes in its buffer

  /** @throws MeasureError `mismatch` for a line that is lost, repeated or out of order. */
  push(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (this.#at !== 0 && at < to) at = this.#finishLine(bytes, at, to);
    const whole = at + ((to - at) & -LINE);
    if (at < whole) {
      if (this.#aligned(bytes, at, whole)) this.#words32(this.#offset + at, this.#offset + whole);
      else this.#words8(bytes, at, whole);
      at = whole;
    }
    if (at < to) this.#finishLine(bytes, at, to);
  }

  /** Is it worth asking where the bytes are, a call of V8's that takes longer than a few lines byte by byte? Then: aligned? */
  #aligned(bytes: Uint8Array, at: number, whole: number): boolean {
    if (bytes !== this.#bytes) {
      if (whole - at <= FEW) return false;
      this.#look(bytes);
    }
    return ((this.#offset + at) & 3) === 0;
  }

  /** A view of the words around the bytes; kept while pieces of the same memory arrive, as ports hand out slabs. */
  #look(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (this.#words.buffer !== buffer) this.#words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    this.#bytes = bytes;
    this.#offset = bytes.byteOffset;
  }

  /** Aligned lines: one 32-bit load each. */
  #words32(from: number, to: number): void {
    const words = this.#words;
    let expected = this.#expected;
    for (let index = from >> 2; index < to >> 2; index += LINE / 4) {
      const word = words[index] as number;
      if (word !== expected) this.#unexpected(word, expected);
      expected = (expected + 1) & COUNTER;
    }
    this.#expected = expected;
  }

  #words8(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at += LINE) {
      const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
      const word = low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
      if (word !== this.#expected) this.#unexpected(word, this.#expected);
      this.#expected = (this.#expected + 1) & COUNTER;
    }
  }

  /** A line that the pieces cut. Returns where the next one begins, or `to`. */
  #finishLine(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (this.#at < 4 && at < to) {
      this.#word |= (bytes[at++] as number) << (8 * this.#at++);
      if (this.#at < 4) continue;
      if (this.#word !== this.#expected) this.#unexpected(this.#word, this.#expected);
      this.#expected = (this.#expected + 1) & COUNTER;
    }
    const rest = Math.min(LINE - this.#at, to - at);
    this.#at += rest;
    if (this.#at === LINE) {
      this.#at = 0;
      this.#word = 0;
    }
    return at + rest;
  }

  #unexpected(word: number, expected: number): void {
    if (word !== (expected | END)) {
      throw new MeasureError('mismatch', `the data is wrong: line ${expected} was expected, ${word} arrived`);
    }
    this.ended = true;
  }
}
