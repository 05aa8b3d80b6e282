// random.ts - deterministic randomness: numbers from a seed, and payload whose every byte follows from seed and offset.

function mix(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Numbers that follow from the seed alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return low + (mix(this.#state) % (high - low + 1));
  }

  /** Lengths from 1 to `most` that add up to `total`; small ones are as likely as large ones. */
  *lengths(total: number, most: number): Generator<number> {
    for (let left = total; left > 0; ) {
      const length = Math.min(left, this.integer(1, 1 << this.integer(0, Math.floor(Math.log2(most)))));
      left -= length;
      yield length;
    }
  }
}

/** Bytes `start` to `start + length` of the stream that belongs to `seed`. */
export function payload(seed: number, length: number, start = 0): Buffer {
  const first = start >>> 2;
  const words = new Uint32Array(Math.ceil(((start & 3) + length) / 4));
  for (let i = 0; i < words.length; i++) words[i] = mix(Math.imul(seed + 1, 0x9e3779b1) + first + i);
  return Buffer.from(words.buffer, start & 3, length);
}

/** Checks that what arrives is the stream of `seed`, in order, from its first byte on. */
export class Verifier {
  readonly #seed: number;
  received = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** @throws Error naming the offset of the first wrong byte. */
  take(chunk: Uint8Array): void {
    const expected = payload(this.#seed, chunk.length, this.received);
    if (expected.compare(chunk) !== 0) {
      const at = expected.findIndex((byte, i) => byte !== chunk[i]);
      throw new Error(`byte ${this.received + at} of the stream is ${chunk[at]}, not ${expected[at]}`);
    }
    this.received += chunk.length;
  }
}
