// talker.ts - the traffic of one connection, in one mode of use. Both ends are talkers; what is sent is always checked
// by whoever receives it. Failures are thrown where they are found, for the process to report.

import type { Sent } from '../pair/commands.js';
import type { Stopwatch } from './stopwatch.js';

export interface Talker {
  /** From now on: answers every message with one of the same size. */
  echo(): void;
  /** From now on: checks everything that arrives and acknowledges every end mark. */
  sink(): void;
  /** Round trips, one after the other, until the stopwatch has enough. */
  ping(watch: Stopwatch): Promise<void>;
  /** Sends for `ms` milliseconds, then an end mark; the clock stops when that is acknowledged. */
  send(ms: number): Promise<Pick<Sent, 'seconds' | 'messages'>>;
}

/**
 * Messages after which a writer lets its event loop turn. A loop that never does starves its own reader and timers; a
 * turn costs 0.7 us, so small messages share one.
 */
export const burstOf = (bytes: number): number => Math.max(1, Math.min(512, (1 << 20) / bytes));

/** One turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
