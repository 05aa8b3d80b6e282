// target.ts - what a goal is, and how its value is got from the rows of a run.

import { median } from './clock.js';
import type { Lane } from './lanes.js';
import type { Subject } from './report/results.js';
import type { Found } from './run.js';

export interface Target {
  readonly goal: string;
  readonly least?: number;
  readonly most?: number;
  readonly unit: string;
  readonly value: (found: Found) => number | undefined;
  /** Holds only where a sleeping thread is as slow to wake as it is on most machines. */
  readonly againstSleepers?: true;
}

export const subject = (lane: Lane, of: Omit<Subject, 'transport' | 'mode'>): Subject => ({
  ...of,
  transport: lane.transport,
  mode: lane.mode,
});
export const medianOf = (values: readonly (number | undefined)[]): number | undefined => {
  const known = values.filter((value) => value !== undefined && Number.isFinite(value)) as number[];
  return known.length === 0 ? undefined : median(known);
};

export const inverse =
  (value: Target['value']): Target['value'] =>
  (found) => {
    const of = value(found);
    return of === undefined ? undefined : 1 / of;
  };
