// explore.ts - an exhaustive explorer of small models: every interleaving of every step, breadth first, so that the trace
// of a failure is a shortest one.
//
// A model is a state (plain data, never changed in place) and the steps that are possible in it. Explored are all states
// that can be reached; reported is the first that is wrong, the first in which nothing is possible although it should be
// (a deadlock, a lost wake-up), and the first from which no end can be reached any more (a livelock).

/** One thing that can happen next. The label says who does what, for the trace. */
export interface Step<S> {
  readonly label: string;
  readonly to: S;
}

export interface Model<S> {
  readonly start: S;
  /** Everything that can happen in this state. An empty list: this is an end. */
  steps(state: S): readonly Step<S>[];
  /** What is wrong with this state, whatever happens next. */
  wrong?(state: S): string | undefined;
  /** Why nothing may end like this; undefined when it is a right end. */
  stuck(state: S): string | undefined;
}

export interface Failure {
  readonly what: string;
  /** Labels from the start to the failure, then the state that was found. */
  readonly trace: readonly string[];
}

export interface Exploration<S> {
  readonly states: number;
  /** States in which nothing is left to happen. */
  readonly ends: readonly S[];
  readonly failure?: Failure;
}

/** Larger models are written wrong; a limit tells it better than a machine without memory. */
const MAX_STATES = 2_000_000;

export function explore<S>(model: Model<S>): Exploration<S> {
  const numbers = new Map<string, number>();
  const states: S[] = [];
  const parents: number[] = [];
  const labels: string[] = [];
  const into: number[][] = []; // for each state, those with a step to it
  const ends: number[] = [];

  const number = (state: S, parent: number, label: string): number => {
    const key = JSON.stringify(state);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const fresh = states.length;
    if (fresh >= MAX_STATES) throw new Error(`more than ${MAX_STATES} states`);
    numbers.set(key, fresh);
    states.push(state);
    parents.push(parent);
    labels.push(label);
    into.push([]);
    return fresh;
  };
  const fail = (what: string, at: number): Exploration<S> => {
    const trace = [JSON.stringify(states[at])];
    for (let i = at; i > 0; i = parents[i] as number) trace.unshift(labels[i] as string);
    return { states: states.length, ends: ends.map((end) => states[end] as S), failure: { what, trace } };
  };

  number(model.start, 0, 'start');
  for (let at = 0; at < states.length; at++) {
    const state = states[at] as S;
    const wrong = model.wrong?.(state);
    if (wrong !== undefined) return fail(wrong, at);
    const steps = model.steps(state);
    if (steps.length === 0) {
      const stuck = model.stuck(state);
      if (stuck !== undefined) return fail(stuck, at);
      ends.push(at);
    }
    for (const { label, to } of steps) (into[number(to, at, label)] as number[]).push(at);
  }
  const endless = firstThatCannotEnd(into, ends);
  return endless === undefined
    ? { states: states.length, ends: ends.map((end) => states[end] as S) }
    : fail('no end can be reached any more', endless);
}

/** Walks back from the ends; the lowest number not met is the earliest state found. */
function firstThatCannotEnd(into: readonly number[][], ends: readonly number[]): number | undefined {
  const canEnd = new Uint8Array(into.length);
  const open = [...ends];
  for (const end of ends) canEnd[end] = 1;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const before of into[at] as number[]) {
      if (canEnd[before] === 0) {
        canEnd[before] = 1;
        open.push(before);
      }
    }
  }
  const found = canEnd.indexOf(0);
  return found < 0 ? undefined : found;
}

/** How a failure is read: what it is, and the way to it. */
export function describeFailure({ what, trace }: Failure): string {
  return [what, ...trace.map((line, i) => `  ${String(i + 1).padStart(3)} ${line}`)].join('\n');
}

/** The list with another value in one place; states are never changed in place. */
export function replaced<T>(list: readonly T[], at: number, value: T): readonly T[] {
  return list.map((old, i) => (i === at ? value : old));
}
