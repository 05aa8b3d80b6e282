// threads.ts - 64-byte messages between two worker threads: round trips, and one way.

import { spinRing } from '../floor.js';
import { MeasureError } from '../errors.js';
import type { Lane } from '../lanes.js';
import { measureIn } from '../measure.js';
import { attempt, type Context, inRounds } from './context.js';

const BYTES = 64;

export async function threadsCase(context: Context): Promise<void> {
  const { plan, pairs, recorder } = context;
  const lanes = context.lanes.filter(({ part }) => part === 'threads');
  await inRounds(context, 'threads', plan.threadsRounds, async (round) => {
    for (const kind of ['roundtrip', 'oneway'] as const) {
      for (const lane of lanes.filter(({ only }) => only === undefined || only === kind)) {
        await attempt(context, `threads-${kind}`, lane, () => (lane.mode === 'spin' ? spin(round, lane) : one(round, lane, kind)));
      }
    }
  });

  async function one(round: number, lane: Lane, kind: 'roundtrip' | 'oneway'): Promise<void> {
    try {
      const budgetMs = plan.threadsMs;
      const warmMs = round === 0 ? plan.firstWarmMs : budgetMs / 4;
      const { transport, mode } = lane;
      const result = await measureIn(pairs.of(lane), { transport, mode, bytes: BYTES, kind, budgetMs, warmMs });
      recorder.add(round, { ...result, case: `threads-${kind}` });
    } catch (error) {
      await pairs.drop(lane);
      throw error;
    }
  }

  /** The floor, once more in each round: beside the figures that are compared with it. */
  async function spin(round: number, { transport, mode }: Lane): Promise<void> {
    const p50_us = await spinRing(plan.floorMs);
    if (p50_us === undefined) throw new MeasureError('unavailable', 'no second core to be had');
    recorder.add(round, { case: 'threads-roundtrip', transport, mode, bytes: BYTES, p50_us });
  }
}
