// cores.ts - how many processors there are for polling: it pays only where the peer runs at the same time.

import { availableParallelism } from 'node:os';
import { readFileSync } from 'node:fs';

let known: number | undefined;

/** Processors this process may use: its affinity, and the CPU quota of its control group, as they are when this is first asked. */
export function usableCores(): number {
  known ??= count();
  return known;
}

function count(): number {
  let quota = Number.POSITIVE_INFINITY;
  try {
    const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    // The quota of every level above counts too; the lowest is what there is.
    for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
      const [limit, period] = readQuota(`/sys/fs/cgroup${at === '/' ? '' : at}/cpu.max`);
      if (limit > 0 && period > 0) quota = Math.min(quota, limit / period);
      if (at === '' || at === '/') break;
    }
  } catch {
    // No cgroup v2: affinity alone decides.
  }
  return Math.min(availableParallelism(), quota);
}

function readQuota(file: string): [limit: number, period: number] {
  try {
    const [limit, period] = readFileSync(file, 'utf8').trim().split(' ');
    return [Number(limit), Number(period)]; // 'max' reads as NaN: no limit
  } catch {
    return [0, 0];
  }
}
