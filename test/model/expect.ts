// expect.ts - what the tests of models say: it holds, in how many states; or it fails, and how.

import { expect } from 'vitest';
import { describeFailure, type Exploration, explore, type Model } from './explore.js';

/** Explores the model completely; prints how large it is. */
export function holds<S>(name: string, model: Model<S>): Exploration<S> {
  const found = explore(model);
  expect(found.failure === undefined ? 'holds' : describeFailure(found.failure)).toBe('holds');
  expect(found.ends.length).toBeGreaterThan(0);
  console.log(`${name}: ${found.states} states, ${found.ends.length} ends`);
  return found;
}

/** Explores until the model fails in the way that is expected. With SMC_TEST_TRACE=1 the trace is printed. */
export function fails<S>(name: string, model: Model<S>, what: RegExp): void {
  const found = explore(model);
  expect(found.failure?.what ?? `holds in all of its ${found.states} states`).toMatch(what);
  if (found.failure !== undefined && process.env.SMC_TEST_TRACE === '1') console.log(`${name}: ${describeFailure(found.failure)}`);
}
