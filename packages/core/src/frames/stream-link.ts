// stream-link.ts - typed frames over a byte stream without a ring, as TCP: the same frames in two private rings, and copies.
//
// On the stream a frame is what it is in a ring, header, payload and padding; fillers are left out and made anew. Received
// bytes go into the ring as they come; a frame is published when it is whole, so the end of the stream never leaves a part.

import type { Duplex } from 'node:stream';
import { SmcError, systemError } from '../errors.js';
import { RingConsumer } from '../ring/consumer.js';
import { HEADER_BYTES, initialise, type RingMemory } from '../ring/layout.js';
import { RingProducer } from '../ring/producer.js';
import { maxRecord } from '../ring/records.js';
import { FILLER, FRAME_HEADER_BYTES, framedBytes, isTag, place, wordsOf } from './frame-format.js';
import type { AsyncFrameLink } from './frame-link.js';
import { hearing } from './ring-link.js';

/** A ring of this thread alone. */
function allocatePrivate(capacity: number): RingMemory {
  const memory = { words: new Int32Array(HEADER_BYTES / 4), data: Buffer.allocUnsafeSlow(capacity), capacity, mirrored: false };
  initialise(memory);
  return memory;
}

interface RoomWaiter {
  readonly bytes: number;
  readonly resolve: (room: boolean) => void;
}

export class StreamLink implements AsyncFrameLink {
  readonly tx: RingProducer;
  readonly rx: RingConsumer;
  readonly #stream: Duplex;
  /** Frames on their way out: read here, given back when the stream has written them. */
  readonly #out: RingConsumer;
  readonly #outWords: Int32Array;
  /** Bytes of them that the stream has and has not yet written. */
  #ahead = 0;
  /** Frames on their way in. */
  readonly #in: RingProducer;
  readonly #inWords: Int32Array;
  readonly #header = new Int32Array(FRAME_HEADER_BYTES / 4);
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  /** Bytes of the frame that comes in: had, and in all; 0 while its header is not complete. */
  #had = 0;
  #total = 0;
  /** Where it goes, or -1 while there is no room. */
  #to = -1;
  #rest: Uint8Array[] = [];
  #reading = false;
  #ended = false;
  /** The peer has sent what cannot be: nothing after it is looked at. */
  #failed = false;
  #spoilt = false;
  #error: Error | null = null;
  #readers: ((more: boolean) => void)[] = [];
  #writers: RoomWaiter[] = [];

  constructor(stream: Duplex, ringSize: number) {
    this.#stream = stream;
    const out = allocatePrivate(ringSize);
    const incoming = allocatePrivate(ringSize);
    this.tx = new RingProducer(out);
    this.#out = new RingConsumer(out);
    this.#outWords = wordsOf(out);
    this.#in = new RingProducer(incoming);
    this.#inWords = wordsOf(incoming);
    this.rx = new RingConsumer(incoming);
    stream.once('close', () => this.#over());
  }

  get sendable(): boolean {
    return this.#stream.writable;
  }

  /** What has come before the stream was destroyed can still be read: it is ours. */
  get receivable(): boolean {
    this.#read();
    return !this.#spoilt;
  }

  get error(): Error | null {
    return this.#error ?? this.#stream.errored;
  }

  hear(): () => void {
    return hearing(this.#stream);
  }

  sent(): void {
    this.tx.publish();
    const available = this.#out.available();
    while (this.#ahead < available) {
      const at = (this.#out.offset + this.#ahead) & (this.tx.capacity - 1);
      const body = this.#outWords[at >> 2] as number;
      const filler = body === FILLER;
      const bytes = filler ? this.tx.capacity - at : framedBytes(body);
      this.#ahead += bytes;
      const written = () => this.#written(bytes);
      if (filler) this.#stream.write(Buffer.alloc(0), written);
      else this.#stream.write(this.tx.data.subarray(at, at + bytes), written);
    }
  }

  taken(): void {
    this.rx.publish();
    this.#feed();
  }

  /** Of a frame that was next to be taken: nothing in the ring can be any more. */
  violation(what: string): void {
    this.#spoilt = true;
    this.#fail(new SmcError('ERR_SMC_PEER_VIOLATION', `the peer sent an impossible ${what}`));
  }

  readable(): Promise<boolean> {
    this.#read();
    if (this.#spoilt) return Promise.resolve(false);
    if (this.rx.available() > 0) return Promise.resolve(true);
    if (this.#ended) return Promise.resolve(false);
    return new Promise((resolve) => void this.#readers.push(resolve));
  }

  writable(bytes: number): Promise<boolean> {
    if (!this.sendable || this.tx.space(bytes) >= bytes) return Promise.resolve(this.sendable);
    return new Promise((resolve) => void this.#writers.push({ bytes, resolve }));
  }

  #written(bytes: number): void {
    this.#ahead -= bytes;
    this.#out.advance(bytes);
    this.#out.publish();
    this.#answerWriters();
  }

  #answerWriters(): void {
    for (let first = this.#writers[0]; first !== undefined; first = this.#writers[0]) {
      if (this.sendable && this.tx.space(first.bytes) < first.bytes) return;
      this.#writers.shift();
      first.resolve(this.sendable);
    }
  }

  #answerReaders(more: boolean): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const resolve of readers) resolve(more);
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const stream = this.#stream;
    if (stream.readableEnded || stream.destroyed) return this.#over();
    stream.on('data', (chunk: Uint8Array) => {
      this.#rest.push(chunk);
      this.#feed();
    });
    stream.once('end', () => this.#over());
  }

  /** Takes what has come as far as there is room. */
  #feed(): void {
    let whole = false;
    let full = false;
    while (!this.#failed) {
      full = this.#total > 0 && this.#to < 0 && !this.#makeRoom();
      if (full) break;
      if (this.#total > 0 && this.#had === this.#total) {
        this.#in.advance(this.#total);
        this.#in.publish();
        this.#had = this.#total = 0;
        whole = true;
        continue;
      }
      const chunk = this.#rest[0];
      if (chunk === undefined) break;
      const used = this.#total === 0 ? this.#takeHeader(chunk) : this.#takeBody(chunk);
      if (used < chunk.length) this.#rest[0] = chunk.subarray(used);
      else this.#rest.shift();
    }
    if (whole) this.#answerReaders(true);
    if (this.#ended) this.#over();
    else if (full) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** Both return how much of the chunk was theirs. */
  #takeHeader(chunk: Uint8Array): number {
    const bytes = Math.min(chunk.length, FRAME_HEADER_BYTES - this.#had);
    this.#headerBytes.set(chunk.subarray(0, bytes), this.#had);
    this.#had += bytes;
    if (this.#had === FRAME_HEADER_BYTES) this.#begin();
    return bytes;
  }

  #takeBody(chunk: Uint8Array): number {
    const bytes = Math.min(chunk.length, this.#total - this.#had);
    this.#in.copy(chunk, 0, bytes, this.#to + this.#had);
    this.#had += bytes;
    return bytes;
  }

  /** The header is complete: what it says is checked here, and once more by whoever takes the frame. */
  #begin(): void {
    const [body = 0, tag = 0] = this.#header;
    if (!isTag(tag)) return this.#fail(new SmcError('ERR_SMC_FRAME_TYPE', 'the peer sends no frames, or in another byte order'));
    if (body < 4 || (body & 7) !== 4) {
      return this.#fail(new SmcError('ERR_SMC_PEER_VIOLATION', 'the peer sent an impossible frame length'));
    }
    const most = maxRecord(this.#in.capacity);
    if (body > most) return this.#fail(new SmcError('ERR_SMC_RECORD_TOO_LARGE', `a frame of ${body} bytes; at most ${most} here`));
    this.#total = framedBytes(body);
    this.#to = -1;
  }

  #makeRoom(): boolean {
    this.#to = place(this.#in, this.#inWords, this.#total);
    if (this.#to < 0) return false;
    this.#in.copy(this.#headerBytes, 0, FRAME_HEADER_BYTES, this.#to);
    return true;
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#rest = [];
    this.#failed = this.#ended = true;
    this.#stream.destroy(error);
    this.#answerReaders(this.rx.available() > 0);
  }

  /** Nothing more comes from the stream. */
  #over(): void {
    this.#ended = true;
    // Frames that wait for room still come out; a part of one does not.
    const waiting = this.#rest.length > 0 || (this.#total > 0 && this.#had === this.#total);
    if (!waiting || this.#failed) {
      if (this.#had > 0) this.#error ??= systemError('ECONNRESET', 'read');
      this.#answerReaders(this.rx.available() > 0);
    }
    if (!this.sendable) this.#answerWriters();
  }
}
