// doorbell.ts - how one loop tells another that a connection has news: a page per direction, and a wake-up only for a
// peer that sleeps.
//
//   page, 4096 bytes, a segment of its own; made and read by the loop that is rung, written by one peer
//   +0    magic | version                 constants
//   +128  sleeping                        owner: 1 before it blocks; peer: swaps to 0, then rings once
//   +256  cpu                             owner: processor it polls on, plus one
//   +384  summary                         bit w: word w of the bitmap has bits
//   +512  news[32]                        bit b of word w: connection 32 * w + b has news
//
// Who rings: stores what is news (a cursor, a state), then sets the connection's bit unless it is set, then the summary
// bit, then looks at `sleeping`. Who is rung: clears the summary, then the word, then reads cursors; before blocking it
// stores `sleeping`, then looks at the summary again. A bit found set means that its reader has yet to clear it and will
// read our cursor after that, so nothing more is needed: the hot path is one load.
// All of it is sequentially consistent; test/model/doorbell shows the lost wake-up when a step is moved.

import { words as atomics } from '@smcjs/core/backend';
import type { NativeControl } from './addon.js';

export const DOORBELL_BYTES = 4096;
const MAGIC = 0x534d4442; // "SMDB"
const VERSION = 1;
const SLEEPING = 32;
const SUMMARY = 96;
const NEWS = 128;

/** Connections one page can tell apart. */
export const DOORBELL_SLOTS = 32 * 32;

export function initialiseDoorbell(page: ArrayBuffer): void {
  const words = new Int32Array(page);
  words[0] = MAGIC;
  words[1] = VERSION;
}

export function isDoorbell(page: ArrayBuffer): boolean {
  const words = new Int32Array(page);
  return atomics.load(words, 0) === MAGIC && atomics.load(words, 1) === VERSION;
}

/** The peer's page, which we ring. */
export class Doorbell {
  /** Wake-ups this side had to send. */
  rung = 0;
  readonly #words: Int32Array;
  readonly #control: NativeControl;

  constructor(page: ArrayBuffer, control: NativeControl) {
    this.#words = new Int32Array(page);
    this.#control = control;
  }

  /** Connection `slot` (the peer's number) has news. Returns true when the peer slept and was woken. */
  ring(slot: number): boolean {
    const words = this.#words;
    const word = NEWS + (slot >> 5);
    const bit = 1 << (slot & 31);
    if ((atomics.load(words, word) & bit) !== 0) return false;
    atomics.or(words, word, bit);
    atomics.or(words, SUMMARY, 1 << (slot >> 5));
    // pairs with the hub: it stores `sleeping`, then reads the summary
    if (atomics.load(words, SLEEPING) === 0 || atomics.exchange(words, SLEEPING, 0) === 0) return false;
    this.rung++;
    this.#control.ring();
    return true;
  }
}

/** Our page: takes the bits a peer has set. The peer can set any; what they mean is checked by `each`. */
export class News {
  readonly #words: Int32Array;

  constructor(page: ArrayBuffer) {
    this.#words = new Int32Array(page);
  }

  take(each: (slot: number) => void): void {
    const words = this.#words;
    let summary = atomics.exchange(words, SUMMARY, 0);
    while (summary !== 0) {
      const word = 31 - Math.clz32(summary & -summary);
      summary &= summary - 1;
      let bits = atomics.exchange(words, NEWS + word, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        each(word * 32 + bit);
      }
    }
  }
}
