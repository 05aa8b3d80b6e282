// atomics.ts - round trips through shared memory between two event loops that sleep in Atomics.waitAsync.

import { MeasureError } from '../errors.js';
import { Checker, LINE, Payload } from '../payload.js';
import { SharedPort } from '../transports/atomics.js';
import type { Port } from '../transports/port.js';
import type { Stopwatch } from './stopwatch.js';
import type { Talker } from './talker.js';

type WaitAsync = (words: Int32Array, index: number, value: number) => { readonly async: boolean; readonly value: unknown };

export class AtomicsTalker implements Talker {
  readonly #port: SharedPort;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #out = new Payload(LINE, 0);
  readonly #in = new Checker();
  readonly #mine: number;
  readonly #theirs: number;
  #sent = 0;
  #seen = 0;
  #open = true;

  constructor(port: Port) {
    if (!(port instanceof SharedPort)) throw new MeasureError('failed', 'no shared memory');
    this.#port = port;
    this.#words = new Int32Array(port.memory);
    this.#bytes = new Uint8Array(port.memory);
    // Words and bytes of the two directions on lines of their own.
    this.#mine = 32 * port.side;
    this.#theirs = 32 * (1 - port.side);
    port.on('close', () => (this.#open = false));
  }

  echo(): void {
    void (async () => {
      while (this.#open) {
        await this.#receive();
        this.#send();
      }
    })();
  }

  async ping(watch: Stopwatch): Promise<void> {
    do {
      this.#send();
      await this.#receive();
    } while (watch.lap());
  }

  sink(): never {
    throw new MeasureError('unavailable', 'a word of memory is no queue');
  }

  async send(): Promise<never> {
    return this.sink();
  }

  #send(): void {
    this.#bytes.set(this.#out.next(), 1024 + 256 * this.#port.side);
    Atomics.store(this.#words, this.#mine, ++this.#sent);
    Atomics.notify(this.#words, this.#mine);
  }

  async #receive(): Promise<void> {
    const { waitAsync } = Atomics as unknown as { waitAsync?: WaitAsync };
    if (waitAsync === undefined) throw new MeasureError('unavailable', 'this Node.js has no Atomics.waitAsync');
    while (Atomics.load(this.#words, this.#theirs) === this.#seen) {
      const waiting = waitAsync(this.#words, this.#theirs, this.#seen);
      if (waiting.async) await waiting.value;
    }
    this.#seen++;
    const at = 1024 + 256 * (1 - this.#port.side);
    this.#in.push(this.#bytes.slice(at, at + LINE), 0, LINE);
  }
}
