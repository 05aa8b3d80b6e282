// stream.ts - traffic over anything that is used like a net.Socket: write() and 'drain', 'data'.
//
// The writer is a plain loop of write() calls, as programs have them: not corked, stopped by false, resumed by 'drain'.

import { now } from '../clock.js';
import { MeasureError } from '../errors.js';
import { Checker, LINE, Payload } from '../payload.js';
import type { Port } from '../transports/port.js';
import type { Stopwatch } from './stopwatch.js';
import { burstOf, type Talker } from './talker.js';

export class StreamTalker implements Talker {
  readonly #port: Port;
  readonly #bytes: number;
  #out: Payload | undefined;
  readonly #in = new Checker();
  #onData: (length: number) => void = () => undefined;
  #onDrain: () => void = () => undefined;

  constructor(port: Port, bytes: number) {
    this.#port = port;
    this.#bytes = bytes;
    port.on('data', (chunk: Uint8Array) => {
      this.#in.push(chunk, 0, chunk.length);
      this.#onData(chunk.length);
    });
    port.on('drain', () => this.#onDrain());
  }

  /** Of requests and replies only one is under way; a writer that does not wait needs as many as the port may hold. */
  #payload(retained = 0): Payload {
    this.#out ??= new Payload(this.#bytes, retained);
    return this.#out;
  }

  echo(): void {
    this.onReply(() => this.ask());
  }

  sink(): void {
    this.#onData = () => {
      if (!this.#in.ended) return;
      this.#in.ended = false;
      this.#port.write(this.#payload().end());
    };
  }

  /** From now on: calls back whenever a whole message has arrived. */
  onReply(then: () => void): void {
    let got = 0;
    this.#onData = (length) => {
      got += length;
      if (got < this.#bytes) return;
      if (got > this.#bytes) throw new MeasureError('mismatch', `${got} bytes arrived where ${this.#bytes} were expected`);
      got = 0;
      then();
    };
  }

  /** Sends one message. */
  ask(): void {
    this.#port.write(this.#payload().next());
  }

  ping(watch: Stopwatch): Promise<void> {
    return new Promise((resolve) => {
      this.onReply(() => {
        if (watch.lap()) this.ask();
        else resolve();
      });
      this.ask();
    });
  }

  send(ms: number): Promise<{ seconds: number; messages: number }> {
    return new Promise((resolve) => {
      const port = this.#port;
      const out = this.#payload(port.retained ?? port.writableHighWaterMark ?? 16384);
      const burst = burstOf(this.#bytes);
      let messages = 0;
      let sinceTurn = 0; // 'drain' may come before the loop has turned, and must not keep it from turning
      let acknowledged = 0;
      const begin = now();
      const deadline = begin + ms * 1000;
      this.#onData = (length) => {
        acknowledged += length;
        if (acknowledged === LINE) resolve({ seconds: (now() - begin) / 1e6, messages });
      };
      const afterTurn = () => {
        sinceTurn = 0;
        pump();
      };
      const pump = () => {
        if (now() >= deadline) {
          this.#onDrain = () => undefined;
          port.write(out.end());
          return;
        }
        while (sinceTurn < burst) {
          messages++;
          sinceTurn++;
          if (!port.write(out.next())) return;
        }
        setImmediate(afterTurn);
      };
      this.#onDrain = pump;
      pump();
    });
  }
}
