// frames.ts - typed arrays of 1 MiB one way, between two threads and between two processes.

import type { Touch } from '../lanes.js';
import { measureIn } from '../measure.js';
import { attempt, type Context, inRounds } from './context.js';

const BYTES = 1 << 20;

export async function framesCase(context: Context): Promise<void> {
  const { plan, pairs, recorder } = context;
  const lanes = context.lanes.filter(({ part }) => part === 'frames');
  await inRounds(context, 'frames', plan.threadsRounds, async (round) => {
    for (const touch of ['elements', 'lines'] satisfies Touch[]) {
      // Between processes moving the bytes is what takes the time: once is enough.
      for (const lane of lanes.filter(({ between }) => between === 'threads' || touch === 'lines')) {
        await attempt(context, 'frames', lane, async () => {
          try {
            const budgetMs = plan.framesMs;
            const warmMs = round === 0 ? plan.firstWarmMs : budgetMs / 4;
            const { transport, mode } = lane;
            const result = await measureIn(pairs.of(lane), { transport, mode, bytes: BYTES, kind: 'oneway', budgetMs, warmMs, touch });
            recorder.add(round, { ...result, case: 'frames' });
          } catch (error) {
            await pairs.drop(lane);
            throw error;
          }
        });
      }
    }
  });
}
