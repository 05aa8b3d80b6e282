// run.ts - runs the chosen cases one after the other and collects what they found.

import type { CaseOption, Options } from './arguments.js';
import { connectCase } from './cases/connect.js';
import type { Context } from './cases/context.js';
import { fallbackCase } from './cases/fallback.js';
import { framesCase } from './cases/frames.js';
import { httpCase } from './cases/http.js';
import { idleCase } from './cases/idle.js';
import { manyCase } from './cases/many.js';
import { onecoreCase } from './cases/onecore.js';
import { politeCase } from './cases/polite.js';
import { poolCase } from './cases/pool.js';
import { threadsCase } from './cases/threads.js';
import { trafficCase } from './cases/traffic.js';
import { type Floor, measureFloor, medianFloor } from './floor.js';
import { describeMachine, type Machine } from './machine.js';
import { Pairs } from './pair/pair.js';
import { Recorder } from './report/results.js';
import type { Special } from './report/special.js';

const RUN: Record<CaseOption, (context: Context) => Promise<void>> = {
  roundtrip: (context) => trafficCase(context, 'roundtrip'),
  oneway: (context) => trafficCase(context, 'oneway'),
  connect: connectCase,
  http: httpCase,
  fallback: fallbackCase,
  polite: politeCase,
  idle: idleCase,
  many: manyCase,
  onecore: onecoreCase,
  threads: threadsCase,
  frames: framesCase,
  pool: poolCase,
};

/** Everything a run found; what the reports are made of. */
export interface Found {
  readonly machine: Machine;
  readonly floor: Floor;
  /** The floor in each round of round trips, where it stands beside that round's figures. */
  readonly floors: readonly Floor[];
  readonly recorder: Recorder;
  readonly special: Special;
}

export async function run(options: Options, argv: readonly string[], progress: (text: string) => void): Promise<Found> {
  const pairs = new Pairs();
  const context: Context = {
    plan: options.plan,
    lanes: options.lanes,
    sizes: options.sizes,
    pairs,
    recorder: new Recorder(),
    floors: [],
    special: {},
    progress,
  };
  try {
    for (const name of options.cases) {
      // Warm processes serve from case to case; those that measure something else bring their own.
      if (name === 'connect' || name === 'fallback') await pairs.stop();
      await RUN[name](context);
    }
  } finally {
    await pairs.stop();
  }
  if (context.floors.length === 0) context.floors.push(await measureFloor(options.plan.floorMs));
  const { floors, recorder, special } = context;
  return { machine: describeMachine(argv), floor: medianFloor(floors), floors, recorder, special };
}
