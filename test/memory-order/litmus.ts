// litmus.ts - store buffering, the litmus test that wake-up suppression depends on: each side stores its own word, then loads
// the other's. That both see the old value must never happen.
//
//   side 0:  x = i; a[i] = y        side 1:  y = j; b[j] = x       i, j = 1 ... ROUNDS, without waiting for each other
//
// Both saw the old value in a pair of rounds (i, j) when a[i] < j and b[j] < i. Since b never decreases, for each i only the
// first j with a[i] < j has to be looked at. Alglave et al., "Don't sit on the fence", CAV 2014, and perple (MICRO 2020).

import { words } from '@smcjs/core/backend';

const ROUNDS = 100_000;
const ENOUGH_MEETINGS = 10_000;

/** Indices of words on cache lines of their own, then the two results. */
const AT = { batch: 0, ready: [32, 64], done: [96, 128], x: [160, 192], results: [224, 224 + ROUNDS + 32] } as const;
const STOP = -1;

export const LITMUS_BYTES = Math.ceil(((AT.results[1] + ROUNDS + 1) * 4) / 4096) * 4096;

/** How words are stored and loaded: as the rings do it, or without any order, to see whether this test sees anything. */
export type Access = 'words' | 'plain';

/** Every fourth batch is a plain one. */
const kind = (batch: number): Access => (batch % 4 === 0 ? 'plain' : 'words');

/** One side; returns when the coordinator says so. `wait` is called while there is nothing to do. */
export function side(memory: Int32Array, me: 0 | 1, wait: () => void): void {
  const other = (1 - me) as 0 | 1;
  for (let last = 0; ; ) {
    const batch = words.load(memory, AT.batch);
    if (batch === STOP) return;
    if (batch === last) {
      wait();
      continue;
    }
    last = batch;
    words.store(memory, AT.ready[me], batch);
    while (words.load(memory, AT.ready[other]) !== batch) {
      if (words.load(memory, AT.batch) === STOP) return;
      wait();
    }
    if (kind(batch) === 'words') ordered(memory, AT.x[me], AT.x[other], AT.results[me]);
    else plain(memory, AT.x[me], AT.x[other], AT.results[me]);
    words.store(memory, AT.done[me], batch);
  }
}

function ordered(memory: Int32Array, own: number, other: number, results: number): void {
  for (let i = 1; i <= ROUNDS; i++) {
    words.store(memory, own, i);
    memory[results + i] = words.load(memory, other);
  }
}

function plain(memory: Int32Array, own: number, other: number, results: number): void {
  for (let i = 1; i <= ROUNDS; i++) {
    memory[own] = i;
    memory[results + i] = memory[other] as number;
  }
}

export interface LitmusResult {
  readonly rounds: number;
  /** How often one side saw the other move: without any the two did not run at the same time. */
  readonly meetings: number;
  readonly violations: number;
}

/** Has two sides run for so long, and looks at what they saw. */
export async function coordinate(memory: Int32Array, milliseconds: number): Promise<Record<Access, LitmusResult>> {
  const total = { words: { rounds: 0, meetings: 0, violations: 0 }, plain: { rounds: 0, meetings: 0, violations: 0 } };
  const turn = () => new Promise<void>((resolve) => void setTimeout(resolve, 1));
  const began = Date.now();
  // Two sides that happened to share a processor have not met: then it takes up to three times as long.
  const more = () => Date.now() - began < milliseconds * (total.words.meetings < ENOUGH_MEETINGS ? 3 : 1);
  for (let batch = 1; batch <= 4 || more(); batch++) {
    words.store(memory, AT.x[0], 0);
    words.store(memory, AT.x[1], 0);
    words.store(memory, AT.batch, batch);
    while (AT.done.some((at) => words.load(memory, at) !== batch)) await turn();
    add(total[kind(batch)], memory);
  }
  words.store(memory, AT.batch, STOP);
  return total;
}

function add(total: { rounds: number; meetings: number; violations: number }, memory: Int32Array): void {
  const a = memory.subarray(AT.results[0], AT.results[0] + ROUNDS + 1);
  const b = memory.subarray(AT.results[1], AT.results[1] + ROUNDS + 1);
  total.rounds += ROUNDS;
  for (let i = 1; i <= ROUNDS; i++) {
    const seen = a[i] as number;
    if (i > 1 && seen !== a[i - 1]) total.meetings++;
    if (seen < ROUNDS && (b[seen + 1] as number) < i) total.violations++;
  }
}
