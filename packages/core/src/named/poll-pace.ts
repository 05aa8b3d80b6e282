// poll-pace.ts - when to look for news that nobody announces. Pure: times come in as arguments, microseconds.
//
// Processes that share nothing but memory cannot wake each other. So: right after news, look without a pause (that is what makes
// round trips quick), for a bounded time and a bounded share of a core. Then sleep, an eighth of the silence so far at a time,
// from 1 ms, the shortest a timer can, to a longest: what comes is never later than an eighth of the gap it ends, and
// a silent connection costs as many looks a second as the longest sleep says.

import type { BusyPoll } from '../options.js';

/** After news, so long without a pause: a sleep is 1 ms at least, so more of it pays than between threads (poll-window.ts). */
const HOT_MICROS = 500;
/** Of each period at most this much goes into looking that found nothing. */
const PERIOD_MICROS = 100_000;
const BUDGET_MICROS = 20_000;
const SHARE = 8;

export class PollPace {
  #fixed = 0;
  #auto = false;
  #longest = 1;
  #activity = 0;
  /** Looking without a pause since the last activity. */
  #hot = false;
  #periodEnd = 0;
  #spent = 0;

  /** `longest`: milliseconds of the longest sleep. */
  setMode(mode: BusyPoll, cores: number, longest: number): void {
    this.#fixed = typeof mode === 'number' ? mode : 0;
    // With one processor the peer cannot run while we look.
    this.#auto = mode === 'auto' && cores > 1;
    this.#longest = longest;
  }

  /** Bytes or news went either way. */
  active(now: number): void {
    this.#activity = now;
    this.#hot = false;
  }

  /** Milliseconds to sleep before the next look; 0 is none. */
  next(now: number): number {
    const silence = now - this.#activity;
    if (silence < this.#fixed || (this.#auto && silence < HOT_MICROS && this.#affordable(now))) {
      this.#hot = true;
      return 0;
    }
    if (this.#hot) this.#spent += Math.min(silence, HOT_MICROS);
    this.#hot = false;
    return Math.min(this.#longest, Math.max(1, Math.floor(silence / 1000 / SHARE)));
  }

  /** Is there anything left of what may be spent? */
  #affordable(now: number): boolean {
    if (now >= this.#periodEnd) {
      this.#periodEnd = now + PERIOD_MICROS;
      this.#spent = 0;
    }
    return this.#spent < BUDGET_MICROS;
  }
}
