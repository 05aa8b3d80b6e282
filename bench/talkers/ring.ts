// ring.ts - traffic through the zero-copy side of a connection: messages are copied into the ring where they will be
// read, and read in place. One-way messages that are small go in up to 16 KiB at a time, published together.

import { now } from '../clock.js';
import { MeasureError } from '../errors.js';
import { Checker, LINE, Payload } from '../payload.js';
import type { Port } from '../transports/port.js';
import { ringOf, type RingSurface } from '../transports/smc.js';
import type { Stopwatch } from './stopwatch.js';
import { burstOf, type Talker, turn } from './talker.js';

/** Bytes published together. */
const BATCH = 16 * 1024;
/** A longer message is read in pieces, so that one end reads while the other still writes. */
const PIECE = 64 * 1024;

export class RingTalker implements Talker {
  readonly #ring: RingSurface;
  readonly #bytes: number;
  readonly #out: Payload;
  readonly #in = new Checker();
  readonly #piece: number;

  constructor(port: Port, bytes: number) {
    this.#ring = ringOf(port);
    this.#bytes = bytes;
    this.#out = new Payload(bytes, 0);
    this.#piece = Math.min(PIECE, this.#ring.capacity.tx / 4);
  }

  echo(): void {
    let got = 0;
    this.#read((length) => {
      got += length;
      if (got < this.#bytes) return;
      got -= this.#bytes;
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
      let got = 0;
      this.#read((length) => {
        got += length;
        if (got < this.#bytes) return;
        got = 0;
        if (watch.lap()) void this.#put(this.#out.next());
        else resolve();
      });
      void this.#put(this.#out.next());
    });
  }

  async send(ms: number): Promise<{ seconds: number; messages: number }> {
    const bytes = this.#bytes;
    const batch = Math.max(1, Math.floor(Math.min(BATCH, this.#piece) / bytes));
    const burst = burstOf(bytes);
    const acknowledged = this.#acknowledgement();
    let messages = 0;
    let sinceTurn = 0;
    const begin = now();
    const deadline = begin + ms * 1000;
    while (now() < deadline) {
      if (batch > 1) {
        const view = this.#ring.reserve(batch * bytes) ?? (await this.#reserve(batch * bytes));
        let used = 0;
        for (; used + bytes <= view.length; used += bytes) view.set(this.#out.next(), used);
        if (used === 0) throw new MeasureError('failed', `the ring wraps inside a message of ${bytes} bytes`);
        this.#ring.commit(used);
        messages += used / bytes;
        sinceTurn += used / bytes;
      } else {
        const blocked = this.#put(this.#out.next());
        if (blocked !== undefined) await blocked;
        messages++;
        sinceTurn++;
      }
      if (sinceTurn >= burst) {
        sinceTurn = 0;
        await turn();
      }
    }
    await this.#put(this.#out.end());
    await acknowledged;
    return { seconds: (now() - begin) / 1e6, messages };
  }

  #acknowledgement(): Promise<void> {
    return new Promise((resolve) => {
      let got = 0;
      this.#read((length) => {
        got += length;
        if (got === LINE) resolve();
      });
    });
  }

  /** Reads in place whatever arrives, checks it, and calls back with the length before the next piece is looked at. */
  #read(onData: (length: number) => void): void {
    const ring = this.#ring;
    const drain = () => {
      for (;;) {
        const view = ring.peek(this.#piece);
        if (view === undefined) return;
        const length = view.length;
        this.#in.push(view, 0, length);
        ring.release(length);
        onData(length);
      }
    };
    ring.onreadable = drain;
    drain();
  }

  /** Copies a message into the ring; a promise only when it had to wait for room. */
  #put(message: Uint8Array): Promise<void> | undefined {
    const taken = this.#ring.write(message);
    return taken < message.length ? this.#writeOn(message, taken) : undefined;
  }

  async #writeOn(message: Uint8Array, from: number): Promise<void> {
    for (let at = from; at < message.length; ) {
      if (!(await this.#ring.writable())) throw new MeasureError('failed', 'the peer closed the ring');
      at += this.#ring.write(message, at);
    }
  }

  async #reserve(bytes: number): Promise<Uint8Array> {
    for (;;) {
      if (!(await this.#ring.writable(bytes))) throw new MeasureError('failed', 'the peer closed the ring');
      const view = this.#ring.reserve(bytes);
      if (view !== undefined) return view;
    }
  }
}
