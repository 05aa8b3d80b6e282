// pattern.ts - bytes whose every place can be told from its neighbours; the same as in kernel/smc_agent.py.

/** Bytes `start` on of the stream that belongs to `seed` (below 256): counters of 4 bytes, little endian. */
export function pattern(seed: number, start: number, length: number): Buffer {
  const first = (seed << 24) + Math.floor(start / 4);
  const words = new Uint32Array(Math.ceil(((start % 4) + length) / 4));
  for (let i = 0; i < words.length; i++) words[i] = first + i;
  return Buffer.from(words.buffer, start % 4, length);
}

/** Checks a stream as it arrives. */
export class PatternCheck {
  readonly #seed: number;
  received: number;

  constructor(seed: number, start = 0) {
    this.#seed = seed;
    this.received = start;
  }

  /** @throws Error that names the first wrong byte. */
  take(chunk: Buffer): void {
    const expected = pattern(this.#seed, this.received, chunk.length);
    if (!expected.equals(chunk)) {
      const at = expected.findIndex((byte, i) => byte !== chunk[i]);
      throw new Error(`byte ${this.received + at} is ${chunk[at]}, not ${expected[at]}`);
    }
    this.received += chunk.length;
  }
}
