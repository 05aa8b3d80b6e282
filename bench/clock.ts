// clock.ts - the one clock of the benchmark, and what is made of its samples.

/**
 * Microseconds since an arbitrary start, with the resolution of process.hrtime. Takes the array form because it is the
 * cheapest of the three (44 ns here; performance.now() 50, hrtime.bigint() 60), which shows in round trips below 1 us.
 */
export function now(): number {
  const time = process.hrtime();
  return time[0] * 1e6 + time[1] / 1e3;
}

export interface Percentiles {
  p50_us: number;
  p99_us: number;
}

/** The median and the 99th percentile of the first `count` samples. Sorts them in place. */
export function percentiles(samples: Float64Array, count: number): Percentiles {
  const sorted = samples.subarray(0, count).sort();
  const at = (share: number) => sorted[Math.min(count - 1, Math.floor(count * share))] ?? Number.NaN;
  return { p50_us: at(0.5), p99_us: at(0.99) };
}

/** The median of a list, NaN for an empty one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** CPU time this process has used so far, user and system, in microseconds. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
