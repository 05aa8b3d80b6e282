// mutate.ts - seeded mutation fuzzing, without any tool: inputs are made of what was interesting before, changed a little.
//
// A run lasts for a time, so how far it comes depends on the machine; which inputs come, in which order, on the seed alone.
// SMC_TEST_SEED repeats one. A failure says seed, number and input.

import { Random } from '../support/random.js';

/** Ten seconds for each decoder in CI, a minute in long runs, two seconds at a developer's desk. */
const SECONDS = process.env.SMC_TEST_LONG === '1' ? 60 : process.env.CI ? 10 : 2;
/** Explores elsewhere in every run of CI; the same everywhere else. */
const SEED = Number(process.env.SMC_TEST_SEED ?? (SECONDS > 2 ? Date.now() % 2 ** 31 : 7609));

export const FUZZ_TIMEOUT = SECONDS * 1000 * 3 + 60_000;
/** Inputs kept because they made something happen that none had before. */
const MAX_CORPUS = 500;
const MAX_INPUT = 2048;
/** Executions between two turns of the loop, in which the test runner is heard. */
const PER_TURN = 1000;
const BYTES = [0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 63, 64, 127, 128, 0xc3, 0xc4, 0xd4, 0xd9, 0xe2, 254, 255];

export interface Fuzzing {
  readonly random: Random;
  /** The next input. */
  next(): Buffer;
  /** The last input did this; one that did something new is used again. */
  note(outcome: string): void;
}

/** Calls `once` until the time is over, and prints how often. @throws Error with all that is needed to see it again. */
export async function fuzz(name: string, seeds: readonly Uint8Array[], once: (fuzzing: Fuzzing) => void): Promise<void> {
  const random = new Random(SEED);
  const corpus = seeds.map((bytes) => Buffer.from(bytes));
  const outcomes = new Set<string>();
  let input: Buffer = Buffer.alloc(0);
  const fuzzing: Fuzzing = {
    random,
    next: () => (input = mutated(corpus, random)),
    note: (outcome) => {
      if (outcomes.has(outcome)) return;
      outcomes.add(outcome);
      if (corpus.length < MAX_CORPUS) corpus.push(Buffer.from(input));
    },
  };
  const until = Date.now() + SECONDS * 1000;
  let executions = 0;
  try {
    while (executions === 0 || Date.now() < until) {
      for (const last = executions + PER_TURN; executions < last; executions++) once(fuzzing);
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  } catch (error) {
    throw new Error(`${name}: execution ${executions} of SMC_TEST_SEED=${SEED}, last input ${input.toString('hex')}`, { cause: error });
  }
  console.log(`${name}: ${executions} executions in ${SECONDS} s, ${outcomes.size} outcomes, seed ${SEED}`);
}

function mutated(corpus: readonly Buffer[], random: Random): Buffer {
  const pick = (): Buffer => corpus[random.integer(0, corpus.length - 1)] as Buffer;
  let bytes: Buffer = Buffer.from(pick());
  for (let left = random.integer(0, 6); left > 0; left--) {
    const at = random.integer(0, bytes.length);
    const some = random.integer(1, 8);
    switch (random.integer(0, 7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.integer(0, 7));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = BYTES[random.integer(0, BYTES.length - 1)] as number;
        break;
      case 2:
        bytes.fill(random.integer(0, 255), at, Math.min(bytes.length, at + some));
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + some)]);
        break;
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(Array.from({ length: some }, () => random.integer(0, 255))),
          bytes.subarray(at),
        ]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), pick().subarray(random.integer(0, at))]);
        break;
      case 6:
        bytes = bytes.subarray(0, at);
        break;
      default:
        // A length field that says what is there.
        if (bytes.length >= 8) bytes.writeUInt16BE(bytes.length, 5);
    }
  }
  return bytes.subarray(0, MAX_INPUT);
}
