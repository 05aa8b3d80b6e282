// fallback.ts - what our Socket costs where it ends on plain TCP: against node:net, in interleaved pairs of fresh
// processes, since the luck of a process (its memory, its core) is larger than the difference looked for.

import { median } from '../clock.js';
import type { Lane, Opening } from '../lanes.js';
import { measureIn } from '../measure.js';
import { Pair } from '../pair/pair.js';
import { attempt, chosen, type Context, inRounds } from './context.js';
import { MOST_CONNECTS } from './connect.js';

interface Figures {
  roundtrip: number;
  throughput: number;
  connects: number;
}

export async function fallbackCase(context: Context): Promise<void> {
  const { plan, special } = context;
  const plain = chosen(context, 'tcp/stream');
  const ours = chosen(context, 'tcp/smc-fallback');
  if (plain === undefined || ours === undefined) return;
  const ratios: Figures[] = [];
  await inRounds(context, 'fallback', plan.fallbackPairs, (round) =>
    attempt(context, 'fallback', ours, async () => {
      // Who goes first changes from pair to pair.
      const lanes = round % 2 === 0 ? [plain, ours] : [ours, plain];
      const found = await interleaved(lanes, plan.fallbackMs);
      const [net, smc] = [found.get(plain) as Figures, found.get(ours) as Figures];
      ratios.push({
        roundtrip: net.roundtrip / smc.roundtrip,
        throughput: smc.throughput / net.throughput,
        connects: smc.connects / net.connects,
      });
    }),
  );
  if (ratios.length === 0) return;
  special.fallback = {
    pairs: ratios.length,
    roundtrip_ratio: median(ratios.map((of) => of.roundtrip)),
    throughput_ratio: median(ratios.map((of) => of.throughput)),
    connects_ratio: median(ratios.map((of) => of.connects)),
  };
}

async function interleaved(lanes: readonly Lane[], budgetMs: number): Promise<Map<Lane, Figures>> {
  const pairs = lanes.map((lane) => new Pair(lane));
  const found = new Map<Lane, Figures>(lanes.map((lane) => [lane, { roundtrip: 0, throughput: 0, connects: 0 }]));
  const each = async (measure: (pair: Pair, figures: Figures) => Promise<void>) => {
    for (const pair of pairs) await measure(pair, found.get(pair.lane) as Figures);
  };
  try {
    await each(async (pair, figures) => {
      const { transport, mode } = pair.lane;
      figures.roundtrip = (await measureIn(pair, { transport, mode, bytes: 64, kind: 'roundtrip', budgetMs })).p50_us ?? Number.NaN;
    });
    await each(async (pair, figures) => {
      const { transport, mode } = pair.lane;
      figures.throughput = (await measureIn(pair, { transport, mode, bytes: 65536, kind: 'oneway', budgetMs })).gb_per_s ?? Number.NaN;
    });
    await each(async (pair, figures) => {
      const opening: Opening = { lane: pair.lane, bytes: 64 };
      const address = await pair.server.call('listen', { opening, role: 'greet' });
      const connects = (ms: number) => pair.client.call('connects', { opening, address, ms, max: MOST_CONNECTS }, ms);
      // node:net itself doubles its rate within the first 2,000 connects of a process. What compiling costs depends on the
      // cores that are free for it; what is asked here is what a connect costs.
      await connects((5 * budgetMs) / 2);
      figures.connects = (await connects(budgetMs)).per_s;
      await pair.server.call('close', null);
    });
    return found;
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
  }
}
