// records.ts - traffic as records: send() takes a batch and keeps the boundaries, receive() hands each one out as a
// private copy.

import { now } from '../clock.js';
import { MeasureError } from '../errors.js';
import { Checker, Payload } from '../payload.js';
import type { Port } from '../transports/port.js';
import { ringOf, type RingSurface } from '../transports/smc.js';
import type { Stopwatch } from './stopwatch.js';
import { burstOf, type Talker, turn } from './talker.js';

/** Records given to one send(), and the most bytes they may be together. */
const BATCH_RECORDS = 64;
const BATCH_BYTES = 64 * 1024;

export class RecordTalker implements Talker {
  readonly #ring: RingSurface;
  readonly #bytes: number;
  readonly #batch: Uint8Array[];
  readonly #out: Payload;
  readonly #in = new Checker();
  readonly #one: Uint8Array[] = [];
  readonly #single: boolean;

  /** @param single one record per call of send() */
  constructor(port: Port, bytes: number, single = false) {
    this.#ring = ringOf(port);
    this.#bytes = bytes;
    this.#single = single;
    this.#batch = new Array(single ? 1 : Math.max(1, Math.min(BATCH_RECORDS, Math.floor(BATCH_BYTES / bytes))));
    this.#out = new Payload(bytes, this.#batch.length * bytes);
  }

  echo(): void {
    this.#read((length) => {
      if (length !== this.#bytes) throw new MeasureError('mismatch', `a record of ${length} bytes, not ${this.#bytes}`);
      void this.#put(this.#out.next());
    });
  }

  sink(): void {
    this.#read(() => {
      if (!this.#in.ended) return;
      this.#in.ended = false;
      void this.#put(this.#out.end());
    });
  }

  ping(watch: Stopwatch): Promise<void> {
    return new Promise((resolve) => {
      this.#read(() => {
        if (watch.lap()) void this.#put(this.#out.next());
        else resolve();
      });
      void this.#put(this.#out.next());
    });
  }

  async send(ms: number): Promise<{ seconds: number; messages: number }> {
    const batch = this.#batch;
    const burst = burstOf(this.#bytes);
    const acknowledged = new Promise<void>((resolve) => this.#read(() => resolve()));
    let messages = 0;
    let sinceTurn = 0;
    const begin = now();
    const deadline = begin + ms * 1000;
    // The clock costs as much as a small record: of single ones it is looked at as often as of batches.
    const looks = this.#single ? BATCH_RECORDS : 1;
    for (let calls = 0; calls % looks !== 0 || now() < deadline; calls++) {
      for (let i = 0; i < batch.length; i++) batch[i] = this.#out.next();
      let taken = this.#ring.send(batch);
      while (taken < batch.length) {
        await this.#room();
        taken += this.#ring.send(batch, taken);
      }
      messages += batch.length;
      sinceTurn += batch.length;
      if (sinceTurn >= burst) {
        sinceTurn = 0;
        await turn();
      }
    }
    await this.#put(this.#out.end());
    await acknowledged;
    return { seconds: (now() - begin) / 1e6, messages };
  }

  #read(onRecord: (length: number) => void): void {
    const ring = this.#ring;
    const handler = (bytes: Uint8Array, offset: number, length: number) => {
      this.#in.push(bytes, offset, offset + length);
      onRecord(length);
    };
    const drain = () => {
      while (ring.receive(handler) > 0);
    };
    ring.onreadable = drain;
    drain();
  }

  /** Sends one record; a promise only when it had to wait for room. */
  #put(record: Uint8Array): Promise<void> | undefined {
    this.#one[0] = record;
    return this.#ring.send(this.#one) === 1 ? undefined : this.#putLater(record);
  }

  async #putLater(record: Uint8Array): Promise<void> {
    do await this.#room();
    while (this.#ring.send([record]) === 0);
  }

  async #room(): Promise<void> {
    // A record takes its length word too, and up to 3 bytes of padding; sizes here are multiples of 4.
    if (!(await this.#ring.writable(this.#bytes + 4))) throw new MeasureError('failed', 'the peer closed the ring');
  }
}
