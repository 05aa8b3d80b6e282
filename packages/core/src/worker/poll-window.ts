// poll-window.ts - how long to look for news before sleeping. Pure: times come in as arguments, microseconds.
//
// As KVM's halt polling learns it: when news woke us that a larger window would have caught, the window doubles; when they
// came later than any window, there is none. Bounded in its share of a core, too.

import type { BusyPoll } from '../options.js';

/** Longest learned window, about four times what a sleep and a wake-up cost: beyond it nothing improves but the time spent. */
const MAX_MICROS = 200;
const FIRST_MICROS = 20;
/** What a wake-up adds to the gap that is seen. */
const WAKE_MICROS = 60;
/** Of each period at most this much goes into polling that found nothing. */
const PERIOD_MICROS = 100_000;
const BUDGET_MICROS = 20_000;

export class PollWindow {
  #learned = 0;
  #fixed = 0;
  #auto = false;
  #activity = 0;
  #periodEnd = 0;
  #spent = 0;

  /** `fixed`: at least so long, whatever it costs. `auto`: learn. */
  setMode(fixed: number, auto: boolean): void {
    this.#fixed = fixed;
    this.#auto = auto;
  }

  static of(mode: BusyPoll, cores: number): PollWindow {
    const window = new PollWindow();
    window.setMode(typeof mode === 'number' ? mode : 0, mode === 'auto' && cores > 1);
    return window;
  }

  /** Microseconds after the last activity during which looking is worth it. */
  get micros(): number {
    return Math.max(this.#fixed, this.#auto && this.#spent < BUDGET_MICROS ? this.#learned : 0);
  }

  /** Bytes or news went either way. */
  active(now: number): void {
    this.#activity = now;
  }

  /** Is it still worth looking? */
  open(now: number): boolean {
    return now - this.#activity < this.micros;
  }

  /** News ended a sleep. */
  woken(now: number): void {
    if (now >= this.#periodEnd) {
      this.#periodEnd = now + PERIOD_MICROS;
      this.#spent = 0;
    }
    const gap = now - this.#activity;
    this.#learned = gap < MAX_MICROS + WAKE_MICROS ? Math.min(MAX_MICROS, Math.max(FIRST_MICROS, 2 * this.#learned)) : 0;
    this.#activity = now;
  }

  /** Looked until now, found nothing, and goes to sleep. */
  slept(now: number): void {
    this.#spent += Math.min(now - this.#activity, this.micros);
  }
}
