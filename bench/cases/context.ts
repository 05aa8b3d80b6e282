// context.ts - what a case family needs to run: what to measure, for how long, and where the figures go.

import { asMeasureError, MeasureError } from '../errors.js';
import type { Floor } from '../floor.js';
import { type Lane, laneKey } from '../lanes.js';
import type { Pairs } from '../pair/pair.js';
import type { Plan } from '../plan.js';
import type { Recorder } from '../report/results.js';
import type { Special } from '../report/special.js';

export interface Context {
  readonly plan: Plan;
  readonly lanes: readonly Lane[];
  readonly sizes: readonly number[];
  readonly pairs: Pairs;
  readonly recorder: Recorder;
  /** The machine's floor, once per round of the first case that has rounds. */
  readonly floors: Floor[];
  readonly special: Special;
  readonly progress: (text: string) => void;
}

/** The chosen lane of that name, if it was chosen. */
export const chosen = (context: Context, key: string): Lane | undefined => context.lanes.find((lane) => laneKey(lane) === key);

/** Runs rounds until there are enough or the case's time is up; `least` in any case. */
export async function inRounds(
  context: Context,
  name: string,
  rounds: number,
  once: (round: number) => Promise<void>,
  least = 1,
): Promise<void> {
  const limit = Date.now() + context.plan.caseLimitMs;
  for (let round = 0; round < rounds; round++) {
    if (round >= least && Date.now() > limit) {
      context.progress(`${name}: stopped after ${round} of ${rounds} rounds, its time is up`);
      return;
    }
    context.progress(`${name}: round ${round + 1} of ${rounds}`);
    await once(round);
  }
}

/**
 * Measures one lane for a case. A lane that cannot be used, or breaks, is noted with its reason and left out of the rest
 * of that case; wrong data ends the run.
 */
export async function attempt(context: Context, name: string, lane: Lane, measure: () => Promise<void>): Promise<void> {
  const { absences } = context.recorder;
  if (absences.some((absence) => absence.case === name && absence.lane === lane)) return;
  try {
    await measure();
  } catch (error) {
    const { failure, message } = asMeasureError(error);
    if (failure === 'mismatch') throw new MeasureError('mismatch', `${name}, ${lane.label}: ${message}`, { cause: error });
    absences.push({ case: name, lane, failure, reason: message });
    context.progress(`${name}: ${lane.label} ${failure === 'unavailable' ? 'not available' : 'FAILED'}: ${message}`);
  }
}
