// words.ts - the one file that touches words another thread or process writes.
//
// ECMAScript orders Atomics only between agents of one cluster, over SharedArrayBuffers. Between processes, on the
// external ArrayBuffer of a shared mapping, it promises nothing; V8 emits the same sequentially consistent
// instructions for both kinds of buffer, which test/memory-order checks on every Node version that is supported.
// A native load-acquire / store-release could replace these four functions without touching the ring.

export type Words = Int32Array;

/** Acquire. What the other side wrote before the store that this load sees is visible after it. */
export function load(words: Words, index: number): number {
  return Atomics.load(words, index);
}

/** Release, and sequentially consistent: a later `load` of another word is not moved before it. */
export function store(words: Words, index: number, value: number): void {
  Atomics.store(words, index, value);
}

export function exchange(words: Words, index: number, value: number): number {
  return Atomics.exchange(words, index, value);
}

export function compareExchange(words: Words, index: number, expected: number, value: number): number {
  return Atomics.compareExchange(words, index, expected, value);
}

/**
 * Blocks this thread while the word has `value`, until {@link wake} or for `ms` milliseconds. Only on memory shared between
 * threads of one process: across processes nobody is woken. Returns false when the time is over.
 */
export function wait(words: Words, index: number, value: number, ms: number): boolean {
  return Atomics.wait(words, index, value, ms) !== 'timed-out';
}

/** Wakes the thread that waits on this word. Pairs with {@link wait}. */
export function wake(words: Words, index: number): void {
  Atomics.notify(words, index);
}
