// floor.ts - what this machine can do at best, in the same run: the wake-up of a sleeping thread, the round trip of a
// spinning ring, the speed of a copy. Everything measured stands on these.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { median, now } from './clock.js';
import { MeasureError } from './errors.js';

export interface Floor {
  /** Two threads waking each other with Atomics.wait and notify. */
  wakeup_rtt_us: number;
  /** 64 bytes in and out of shared memory, both threads spinning. Absent when there is only one core to be had. */
  spin_rtt_us?: number;
  /** 64 KiB messages through such a ring, written by one core and read by the other, every line of them. As above. */
  transfer_gb_per_s?: number;
  /** TypedArray.set of 1 MiB. */
  memcpy_gb_per_s: number;
}

export interface FloorJob {
  readonly kind: 'wakeup' | 'spin' | 'transfer';
  readonly side: 0 | 1;
  readonly memory: SharedArrayBuffer;
  readonly ms: number;
}

/** A ring of 256 KiB and its cursors. */
export const TRANSFER_BYTES = 256 * 1024 + 1024;

/** No spinning round trip between two cores takes this long. */
const SHARED_CORE_US = 20;

export async function measureFloor(ms: number): Promise<Floor> {
  const floor: Floor = { wakeup_rtt_us: await pair('wakeup', ms), memcpy_gb_per_s: memcpy(ms / 2) };
  // On one core the other thread runs only when this one's time slice ends: that would measure the scheduler.
  if (availableParallelism() > 1) {
    const spin = await spinRing(ms);
    if (spin !== undefined) {
      floor.spin_rtt_us = spin;
      floor.transfer_gb_per_s = await pair('transfer', ms);
    }
  }
  return floor;
}

/** A kernel may put both threads on one core although there are two; then it is tried again. */
export async function spinRing(ms: number): Promise<number | undefined> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3 && !(best < SHARED_CORE_US); i++) {
    const found = await pair('spin', ms);
    if (found < best) best = found;
  }
  return Number.isFinite(best) ? best : undefined;
}

/** The median of each figure. */
export function medianFloor(floors: readonly Floor[]): Floor {
  const spin = floors.flatMap((floor) => floor.spin_rtt_us ?? []);
  const transfer = floors.flatMap((floor) => floor.transfer_gb_per_s ?? []);
  return {
    wakeup_rtt_us: median(floors.map((floor) => floor.wakeup_rtt_us)),
    memcpy_gb_per_s: median(floors.map((floor) => floor.memcpy_gb_per_s)),
    ...(spin.length > 0 ? { spin_rtt_us: median(spin) } : {}),
    ...(transfer.length > 0 ? { transfer_gb_per_s: median(transfer) } : {}),
  };
}

/** Runs both sides of a job in threads of their own; what side 0 found. */
async function pair(kind: FloorJob['kind'], ms: number): Promise<number> {
  const memory = new SharedArrayBuffer(kind === 'transfer' ? TRANSFER_BYTES : 4096);
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
