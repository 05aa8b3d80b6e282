// awake-clock.ts - time in which this loop turned. While a process is stopped, its machine is suspended or has no processor for it, the
// peer's answers may not even have left: its process may share that fate, and so may a device that is driven by this machine. Who then
// only looked at the clock would give up a peer that is there.

import type { Clock } from './clock.js';

/** A loop that is late by more than this stood still, milliseconds: what is beyond it does not count. */
export const MOST_LATE = 250;

/** The time of another clock, but at most {@link MOST_LATE} ms beyond the next beat, until that beat has happened. */
export class AwakeClock implements Clock {
  readonly #clock: Clock;
  #stoodStill = 0;
  /** When the next beat is due. */
  #due = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return Math.min(this.#raw(), this.#due + MOST_LATE);
  }

  after(milliseconds: number, call: () => void): () => void {
    return this.#clock.after(milliseconds, call);
  }

  /** Like {@link after}, but whatever this is late by shows that the loop stood still. One at a time. */
  beat(milliseconds: number, call: () => void): () => void {
    this.#due = this.now() + milliseconds;
    const cancel = this.#clock.after(milliseconds, () => {
      this.#stop();
      call();
    });
    return () => {
      this.#stop();
      cancel();
    };
  }

  /** Time goes on from where it is, without going back. */
  #stop(): void {
    this.#stoodStill += this.#raw() - this.now();
    this.#due = Number.POSITIVE_INFINITY;
  }

  #raw(): number {
    return this.#clock.now() - this.#stoodStill;
  }
}
