// floor.ts - what this machine can do at best, in the same run: the wake-up of a sleeping thread, the round trip of a
// spinning ring, the speed of a copy. Everything measured stands on these.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { median, now } from './clock.js';
import { MeasureError } from './errors.js';

export interface Floor {
  /** Two threads waking each other with Atomics.wait and notify. */
  wakeup_rtt_us: number;
  /** 64 bytes in and out of shared memory, both threads spinning. Absent with one usable core. */
  spin_rtt_us?: number;
  /** TypedArray.set of 1 MiB. */
  memcpy_gb_per_s: number;
}

export interface FloorJob {
  readonly kind: 'wakeup' | 'spin';
  readonly side: 0 | 1;
  readonly memory: SharedArrayBuffer;
  readonly ms: number;
}

export async function measureFloor(ms: number): Promise<Floor> {
  const floor: Floor = { wakeup_rtt_us: await pingPong('wakeup', ms), memcpy_gb_per_s: memcpy(ms / 2) };
  // On one core the other thread runs only when this one's time slice ends: that would measure the scheduler.
  if (availableParallelism() > 1) floor.spin_rtt_us = await pingPong('spin', ms);
  return floor;
}

/** The median of each figure. */
export function medianFloor(floors: readonly Floor[]): Floor {
  const spin = floors.flatMap((floor) => floor.spin_rtt_us ?? []);
  return {
    wakeup_rtt_us: median(floors.map((floor) => floor.wakeup_rtt_us)),
    memcpy_gb_per_s: median(floors.map((floor) => floor.memcpy_gb_per_s)),
    ...(spin.length > 0 ? { spin_rtt_us: median(spin) } : {}),
  };
}

async function pingPong(kind: FloorJob['kind'], ms: number): Promise<number> {
  const memory = new SharedArrayBuffer(4096);
  const workers = ([0, 1] as const).map(
    (side) => new Worker(new URL('./floor-worker.js', import.meta.url), { workerData: { kind, side, memory, ms } satisfies FloorJob }),
  );
  const watchdog = setTimeout(() => workers.forEach((worker) => void worker.terminate()), ms * 10 + 20_000);
  try {
    const answers = await Promise.all(
      workers.map(
        (worker) =>
          new Promise<number>((resolve, reject) => {
            worker.once('message', resolve);
            worker.once('error', reject);
            worker.once('exit', () => reject(new MeasureError('failed', `the floor measurement (${kind}) was cut off`)));
          }),
      ),
    );
    return answers[0] as number;
  } finally {
    clearTimeout(watchdog);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function memcpy(ms: number): number {
  const from = new Uint8Array(1 << 20).fill(1);
  const to = new Uint8Array(1 << 20);
  const rates: number[] = [];
  for (const deadline = now() + ms * 1000; now() < deadline; ) {
    const begin = now();
    for (let i = 0; i < 16; i++) to.set(from);
    rates.push((16 * from.length) / 1e3 / (now() - begin));
  }
  return median(rates);
}
