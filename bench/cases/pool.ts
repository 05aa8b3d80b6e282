// pool.ts - a stream of frames through two workers of a Piscina pool, in order: by task arguments and transfer lists, and by
// mapFrames of this library. The main thread touches every line of each frame and each answer, a worker computes every element.

import type { FrameFill } from '@smcjs/core/worker';
import { now } from '../clock.js';
import { MeasureError } from '../errors.js';
import type { Lane } from '../lanes.js';
import { attempt, type Context, inRounds } from './context.js';

const BYTES = 65_536;
const LENGTH = BYTES / Float64Array.BYTES_PER_ELEMENT;
const WORKERS = 2;
/** Frames under way for each worker: more made neither way quicker. */
const AHEAD = 8;
const RING_BYTES = 1 << 20;

type Pool = import('piscina').Piscina;

async function open(): Promise<Pool> {
  const filename = new URL('./pool-worker.js', import.meta.url).href;
  try {
    const { Piscina } = await import('piscina');
    return new Piscina({ filename, minThreads: WORKERS, maxThreads: WORKERS });
  } catch (error) {
    throw new MeasureError('unavailable', `piscina cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
  }
}

export async function poolCase(context: Context): Promise<void> {
  const { plan, recorder } = context;
  const lanes = context.lanes.filter(({ part }) => part === 'pool');
  const pools = new Map<Lane, Pool>();
  try {
    await inRounds(context, 'pool', plan.threadsRounds, async (round) => {
      for (const lane of lanes) {
        await attempt(context, 'pool', lane, async () => {
          const pool = pools.get(lane) ?? (await open());
          pools.set(lane, pool);
          const { transport, mode } = lane;
          const msgs_per_s = await framesPerSecond(pool, lane, round === 0 ? plan.firstWarmMs : plan.poolMs / 4, plan.poolMs);
          const gb_per_s = (msgs_per_s * BYTES) / 1e9;
          recorder.add(round, { case: 'pool', transport, mode, bytes: BYTES, msgs_per_s, gb_per_s, budget_ms: plan.poolMs });
        });
      }
    });
  } finally {
    await Promise.all([...pools.values()].map((pool) => pool.destroy()));
  }
}

/** Answers per second, once the first ones are there. */
async function framesPerSecond(pool: Pool, { mode }: Lane, warmMs: number, ms: number): Promise<number> {
  let measuring = 0; // since when
  let last = 0;
  let answers = 0;
  const begin = now();
  const warm = begin + warmMs * 1000;
  const onAnswer = (): boolean => {
    last = now();
    if (measuring > 0) answers++;
    else if (last >= warm) measuring = last;
    return measuring === 0 || last < measuring + ms * 1000;
  };
  if (mode === 'frames') await byFrames(pool, onAnswer);
  else await byTransfer(pool, onAnswer);
  return answers / ((last - measuring) / 1e6);
}

async function byFrames(pool: Pool, onAnswer: () => boolean): Promise<void> {
  const { mapFrames } = await import('@smcjs/core/worker');
  const types = { input: Float64Array, output: Float64Array };
  const options = { ...types, name: 'frames', concurrency: WORKERS, ahead: AHEAD, ringSize: RING_BYTES };
  for await (const { index, view } of mapFrames(pool, filled(), options)) {
    check(view, index);
    if (!onAnswer()) break;
  }
}

/** Frames made in the ring, as those of the other way are made in the array that is transferred. */
function* filled(): Generator<FrameFill<Float64Array>> {
  for (let index = 0; ; index++) yield { length: LENGTH, fill: (view) => void fill(view, index) };
}

async function byTransfer(pool: Pool, onAnswer: () => boolean): Promise<void> {
  const run = (frame: Float64Array): Promise<Float64Array> =>
    pool.run(frame, { name: 'transfer', transferList: [frame.buffer as ArrayBuffer] });
  const running = Array.from({ length: WORKERS * AHEAD }, (_, index) => run(fill(new Float64Array(LENGTH), index)));
  for (let index = 0, more = true; running.length > 0; index++) {
    const view = await (running.shift() as Promise<Float64Array>);
    check(view, index);
    more = more && onAnswer();
    // The array that has come back goes out again.
    if (more) running.push(run(fill(view, index + WORKERS * AHEAD)));
  }
}

/** Elements of a 64-byte line. */
const STEP = 8;
const LINES = LENGTH / STEP;

function fill(frame: Float64Array, index: number): Float64Array {
  for (let i = 0; i < LENGTH; i += STEP) frame[i] = index + i;
  return frame;
}

function check(view: Float64Array, index: number): void {
  let sum = 0;
  for (let i = 0; i < view.length; i += STEP) sum += view[i] as number;
  if (sum !== 2 * (LINES * index + (STEP * LINES * (LINES - 1)) / 2) + LINES) {
    throw new MeasureError('mismatch', `answer ${index} has the sum ${sum}`);
  }
}
