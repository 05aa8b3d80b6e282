// traffic.ts - round trips and one-way streams: every lane at every size, interleaved.

import { measureFloor } from '../floor.js';
import { measureIn } from '../measure.js';
import { attempt, type Context, inRounds } from './context.js';

export async function trafficCase(context: Context, kind: 'roundtrip' | 'oneway'): Promise<void> {
  const { plan, pairs, recorder } = context;
  const lanes = context.lanes.filter(({ part, mode }) => part === 'traffic' && (kind === 'oneway' || mode !== 'nagle'));
  const name = kind === 'roundtrip' ? 'round trips' : 'one way';
  const { warmRounds } = plan;
  const title = warmRounds === 0 ? name : `${name} (${warmRounds} rounds to warm up)`;
  await inRounds(
    context,
    title,
    warmRounds + plan.rounds,
    async (at) => {
      const round = at - warmRounds;
      if (kind === 'roundtrip' && round >= 0) context.floors[round] = await measureFloor(plan.floorMs);
      for (const bytes of context.sizes) {
        for (const lane of lanes) {
          await attempt(context, kind, lane, async () => {
            const pair = pairs.of(lane);
            try {
              const fullMs = kind === 'roundtrip' ? plan.roundtripMs : plan.onewayMs;
              const budgetMs = round < 0 ? fullMs / 4 : fullMs;
              // A lane's processes are new before round 0, or some short rounds before that, and stay.
              const warmMs = round === 0 ? plan.firstWarmMs : budgetMs / 4;
              const { transport, mode } = lane;
              const result = await measureIn(pair, { transport, mode, bytes, kind, budgetMs, warmMs });
              if (round >= 0) recorder.add(round, result);
            } catch (error) {
              // The measurement was cut off somewhere: nothing that the pair still does may reach another one.
              await pairs.drop(lane);
              throw error;
            }
          });
        }
      }
    },
    warmRounds + 1,
  );
}
