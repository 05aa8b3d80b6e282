// onecore.ts - both processes on one CPU: a poller must give way there, or the other side never gets to answer.

import { spawnSync } from 'node:child_process';
import type { Lane } from '../lanes.js';
import { firstCpu } from '../machine.js';
import { measureIn } from '../measure.js';
import { Pair } from '../pair/pair.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

export async function onecoreCase(context: Context): Promise<void> {
  const { plan, recorder } = context;
  const lanes = ['tcp/stream', 'uds/stream', 'smcd/stream'].flatMap((key) => chosen(context, key) ?? []);
  if (spawnSync('taskset', ['--version']).error !== undefined) {
    for (const lane of lanes)
      recorder.absences.push({ case: 'onecore', lane, failure: 'unavailable', reason: 'taskset (util-linux) is not installed' });
    context.progress('onecore: not available: taskset (util-linux) is not installed');
    return;
  }
  const cpu = firstCpu();
  const pairs = new Map<Lane, Pair>(lanes.map((lane) => [lane, new Pair(lane, { cpu })]));
  try {
    await inRounds(context, 'onecore', plan.onecoreRounds, async (round) => {
      for (const [lane, pair] of pairs) {
        await attempt(context, 'onecore', lane, async () => {
          const { transport, mode } = lane;
          const result = await measureIn(pair, { transport, mode, bytes: 64, kind: 'roundtrip', budgetMs: plan.onecoreMs });
          recorder.add(round, { ...result, case: 'onecore' });
        });
      }
    });
  } finally {
    await Promise.all([...pairs.values()].map((pair) => pair.stop()));
  }
}
