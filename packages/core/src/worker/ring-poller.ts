// ring-poller.ts - many rings, one thread that does nothing else: looks at blocking ends in turn and never sleeps.
//
// A look is two loads per end (10 ns), and each look goes on where the last one stopped: an end that always has something does not
// keep the others waiting.

import { SmcError } from '../errors.js';
import { usableCores } from '../cores.js';
import type { BlockingEnd } from './blocking-end.js';

/** Looks between two looks at the clock. */
const LOOKS = 256;
/** Where only one processor is usable a round that found nothing gives it up for so long, milliseconds. */
const YIELD_MS = 1;

/**
 * Polls blocking ends for a worker that owns them, on a processor of its own; they are best opened with `exclusive`, for then
 * nobody tries to wake them. To be used by the thread that opened them. Allocates nothing per message.
 *
 *     const poller = new RingPoller(ends);
 *     for (let end = poller.next(); end !== undefined; end = poller.next()) end.receive(handler, 64);
 */
export class RingPoller {
  readonly #ends: BlockingEnd[] = [];
  readonly #nap = usableCores() > 1 ? undefined : new Int32Array(new SharedArrayBuffer(4));
  #at = 0;

  constructor(ends: Iterable<BlockingEnd> = []) {
    for (const end of ends) this.add(end);
  }

  /** How many ends there are. */
  get size(): number {
    return this.#ends.length;
  }

  /** @throws SmcError `ERR_SMC_RING_MISUSE` for an end that is polled already. */
  add(end: BlockingEnd): this {
    if (this.#ends.includes(end)) throw new SmcError('ERR_SMC_RING_MISUSE', 'this end is polled already');
    this.#ends.push(end);
    return this;
  }

  /** Lets an end go; it stays open. */
  remove(end: BlockingEnd): this {
    const at = this.#ends.indexOf(end);
    if (at < 0) return this;
    this.#ends.splice(at, 1);
    if (at < this.#at) this.#at--;
    return this;
  }

  /**
   * The next end, in turn, that has bytes to read, or that is over: ended, closed, reset or overwritten, which its receiving calls
   * tell. One that is over and has nothing left to read is given once and let go. Undefined when `timeout` (milliseconds) is
   * over, or there are no ends.
   */
  next(timeout = Number.POSITIVE_INFINITY): BlockingEnd | undefined {
    const ends = this.#ends;
    const deadline = performance.now() + timeout;
    for (let looks = 1; ends.length > 0; looks++) {
      if (this.#at >= ends.length) this.#at = 0;
      const end = ends[this.#at++] as BlockingEnd;
      if (end.link.look()) return this.#given(end);
      if (looks % LOOKS !== 0 && (timeout > 0 || looks < ends.length)) continue;
      for (const other of ends) if (other.link.lookForPeer()) return this.#given(other);
      if (performance.now() >= deadline) return undefined;
      if (this.#nap !== undefined) Atomics.wait(this.#nap, 0, 0, YIELD_MS);
    }
    return undefined;
  }

  #given(end: BlockingEnd): BlockingEnd {
    if (end.closed || end.link.rx.violated || end.ended) this.remove(end);
    return end;
  }
}
