// tso.ts - memory as x86 shows it to several processors (total store order): a plain store waits in its processor's buffer
// while later loads go ahead; an ordered store (sequentially consistent: xchg, or a store and a fence) does not.
//
// Sewell et al., "x86-TSO: a rigorous and usable programmer's model", CACM 53(7), 2010. What holds here for an ordered
// store holds on every machine where Atomics are what ECMAScript says; what fails here for a plain one fails on x86.

import { replaced } from './explore.js';

type Write = readonly [word: string, value: number];

export interface Memory {
  readonly words: Readonly<Record<string, number>>;
  /** Per processor: stores that the others cannot see yet, oldest first. */
  readonly buffers: readonly (readonly Write[])[];
}

export type Order = 'ordered' | 'plain';

export function memory(words: Readonly<Record<string, number>>, processors: number): Memory {
  return { words, buffers: Array.from({ length: processors }, () => []) };
}

/** A processor sees its own latest store, else what everybody sees. */
export function load({ words, buffers }: Memory, processor: number, word: string): number {
  const own = (buffers[processor] as readonly Write[]).filter(([written]) => written === word).at(-1);
  return own !== undefined ? own[1] : (words[word] as number);
}

/** Undefined: not yet, since an ordered store waits until the processor's buffer is empty. */
export function store(at: Memory, processor: number, word: string, value: number, order: Order): Memory | undefined {
  const buffer = at.buffers[processor] as readonly Write[];
  if (order === 'plain') return { ...at, buffers: replaced(at.buffers, processor, [...buffer, [word, value] as const]) };
  return buffer.length > 0 ? undefined : { ...at, words: { ...at.words, [word]: value } };
}

/** Reads and writes in one step. Undefined: not yet. */
export function exchange(at: Memory, processor: number, word: string, value: number): { old: number; memory: Memory } | undefined {
  const stored = store(at, processor, word, value, 'ordered');
  return stored && { old: at.words[word] as number, memory: stored };
}

/** What can become visible next: the oldest store of each buffer. */
export function drains(at: Memory): { label: string; memory: Memory }[] {
  return at.buffers.flatMap((buffer, processor) => {
    const [oldest, ...rest] = buffer;
    if (oldest === undefined) return [];
    const [word, value] = oldest;
    const drained = { words: { ...at.words, [word]: value }, buffers: replaced(at.buffers, processor, rest) };
    return [{ label: `(${word} = ${value} becomes visible)`, memory: drained }];
  });
}
