// doorbell.ts - how one loop tells another that a connection has news: a page per direction, and a wake-up only for a
// peer that sleeps.
//
//   page, 4096 bytes, a segment of its own; made and read by the loop that is rung, written by one peer
//   +0     magic | version                constants
//   +128   sleeping                       owner: 1 before it blocks; peer: swaps to 0, then rings once
//   +256   cpu                            owner: processor it polls on, plus one
//   +384   news | overflow                peer: count of tokens so far (high 16 bits) and the last token; "look at all"
//   +512   taken                          owner: count of tokens it has taken
//   +1024  tokens[1024], 16 bits each     peer: which connections have news, a ring indexed by the count
//
// Who rings stores what is news (a cursor, a state), then a token, then the count, then looks at `sleeping`. Who is rung
// takes the tokens, stores `taken`, then reads cursors; before blocking it stores `sleeping`, then looks at the count again.
// A token not taken yet will be followed by a look at the cursors, so nothing more is needed until it is. When all 1,024 are
// waiting, `overflow` asks for a look at every connection instead.
//
// One word carries the news of the usual case, one connection at a time: nobody but the peer writes its cache line, so a
// message moves that line once. A bitmap with a summary, set and cleared by atomic operations, moved lines four times.
// All of it is sequentially consistent; test/model/doorbell shows the lost wake-up when a step is moved.

import { words as atomics } from '@smcjs/core/backend';
import type { NativeControl } from './addon.js';

export const DOORBELL_BYTES = 4096;
const MAGIC = 0x534d4442; // "SMDB"
const VERSION = 1;
const SLEEPING = 32;
const NEWS = 96;
const OVERFLOW = 97;
const TAKEN = 128;
const TOKENS_AT = 1024;
const TOKENS = 1024;

/** Connections one page can tell apart. */
export const DOORBELL_SLOTS = 1024;

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
  readonly #words: Int32Array;
  readonly #tokens: Uint16Array;
  readonly #control: NativeControl;
  /** Tokens so far; the page has its low 16 bits. */
  #count = 0;
  /** How many of them the peer had taken when we last looked: a lower bound. */
  #taken = 0;

  constructor(page: ArrayBuffer, control: NativeControl) {
    this.#words = new Int32Array(page);
    this.#tokens = new Uint16Array(page, TOKENS_AT, TOKENS);
    this.#control = control;
  }

  /** Tokens so far. What `ring` sent is taken once {@link pending} of this number is false. */
  get count(): number {
    return this.#count;
  }

  /** Is the token that made the count `mark` still to be taken? Then its connection needs no other. */
  pending(mark: number): boolean {
    return mark > this.#taken && mark > this.#look();
  }

  /** Connection `slot` (the peer's number) has news. Returns true when the peer slept and was woken. */
  ring(slot: number): boolean {
    const words = this.#words;
    if (this.#count - this.#taken >= TOKENS && this.#count - this.#look() >= TOKENS) {
      atomics.store(words, OVERFLOW, 1);
    } else {
      this.#tokens[this.#count & (TOKENS - 1)] = slot;
      this.#count++;
      atomics.store(words, NEWS, (this.#count << 16) | slot);
    }
    // pairs with the hub: it stores `sleeping`, then reads the count
    if (atomics.load(words, SLEEPING) === 0 || atomics.exchange(words, SLEEPING, 0) === 0) return false;
    this.#control.ring();
    return true;
  }

  /** Reads how many tokens were taken. A count that cannot be is the peer's own loss: its news are then told by overflow. */
  #look(): number {
    const waiting = (this.#count - atomics.load(this.#words, TAKEN)) & 0xffff;
    if (waiting <= TOKENS && this.#count - waiting > this.#taken) this.#taken = this.#count - waiting;
    return this.#taken;
  }
}

/** Our page: takes the tokens a peer has left. It can leave any; what they mean is checked by `each`. */
export class News {
  readonly #words: Int32Array;
  readonly #tokens: Uint16Array;
  readonly #copy = new Uint16Array(TOKENS);
  #taken = 0;

  constructor(page: ArrayBuffer) {
    this.#words = new Int32Array(page);
    this.#tokens = new Uint16Array(page, TOKENS_AT, TOKENS);
  }

  /** Calls `each` for the connections that have news, or `all` when they cannot be told. Returns the count taken. */
  take(each: (slot: number) => void, all: () => void): number {
    const words = this.#words;
    const news = atomics.load(words, NEWS);
    const count = news >>> 16;
    const waiting = (count - this.#taken) & 0xffff;
    const first = this.#taken;
    this.#taken = count;
    // The peer may use a place again once its token is taken: so copied before that is said.
    if (waiting > 1 && waiting <= TOKENS)
      for (let i = 0; i < waiting; i++) this.#copy[i] = this.#tokens[(first + i) & (TOKENS - 1)] as number;
    // pairs with Doorbell.pending: the cursors are read after this
    atomics.store(words, TAKEN, count);
    const overflow = atomics.load(words, OVERFLOW) !== 0 && atomics.exchange(words, OVERFLOW, 0) !== 0;
    if (overflow || waiting > TOKENS) all();
    else if (waiting === 1) each(news & 0xffff);
    else {
      let last = -1;
      for (let i = 0; i < waiting; i++) {
        const slot = this.#copy[i] as number;
        if (slot !== last) each(slot);
        last = slot;
      }
    }
    return count;
  }
}
