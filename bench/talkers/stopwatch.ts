// stopwatch.ts - times round trips that follow each other. Looking at the clock takes 44 ns, which is a good part of a
// round trip below 1 us: quick ones are timed by groups, as those of the floor are, with single ones in between for p99.

import { now, type Percentiles, percentiles } from '../clock.js';

/** Round trips of a group, as in floor-worker.ts. */
const GROUP = 50;
/** Round trips that take longer on average are all timed one by one. */
const QUICK_US = 5;

export interface Timed extends Percentiles {
  readonly count: number;
}

export class Stopwatch {
  readonly #singles: Float64Array;
  readonly #groups = new Float64Array(1 << 15);
  readonly #deadline: number;
  #single = 0;
  #group = 0;
  /** Laps until the next look at the clock, and until groups and single laps take turns. */
  #left = 1;
  #phase = GROUP;
  #grouped = false;
  #begin: number;

  /** Starts now, for `ms` milliseconds or until `singles`, the memory it may use, is full. */
  constructor(ms: number, singles: Float64Array) {
    this.#singles = singles;
    this.#begin = now();
    this.#deadline = this.#begin + ms * 1000;
  }

  /** A round trip has ended and the next begins; false when it need not. Allocates nothing. */
  lap(): boolean {
    if (--this.#left > 0) return true;
    const end = now();
    if (this.#grouped) this.#groups[this.#group++] = (end - this.#begin) / GROUP;
    else this.#singles[this.#single++] = end - this.#begin;
    if (this.#grouped || --this.#phase === 0) this.#change();
    this.#left = this.#grouped ? GROUP : 1;
    this.#begin = end;
    return end < this.#deadline && this.#single < this.#singles.length && this.#group < this.#groups.length;
  }

  /** After a group come single laps; after these a group, if they were quick. */
  #change(): void {
    let sum = 0;
    if (!this.#grouped) for (let i = this.#single - GROUP; i < this.#single; i++) sum += this.#singles[i] as number;
    this.#grouped = !this.#grouped && sum < QUICK_US * GROUP;
    this.#phase = GROUP;
  }

  /** The median of groups where laps were quick most of the time, else of single laps; p99 is always of single laps. */
  figures(): Timed {
    const count = this.#single + this.#group * GROUP;
    const { p50_us, p99_us } = percentiles(this.#singles, this.#single);
    const quick = 3 * this.#group * GROUP > this.#single;
    return { p50_us: quick ? percentiles(this.#groups, this.#group).p50_us : p50_us, p99_us, count };
  }
}
