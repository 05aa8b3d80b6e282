// checks.mjs - what is right or wrong of this repository without being run: its form, and its API reference. In CI they are part of
// `npm test`, where each counts as one test; by hand: `npm run lint`, `npm run docs`.

import { join } from 'node:path';
import { apiReference } from './docs.mjs';
import { ROOT, run, step, StepError } from './steps.mjs';

const CHECKS = [
  {
    name: 'biome check',
    check: () => run(join(ROOT, 'node_modules/.bin/biome'), ['check', '.'], { advice: 'npm run lint says it again' }),
  },
  { name: 'API reference', check: () => apiReference('--emit', 'none', '--skipErrorChecking') },
];

/** All of them, also after one that failed; what became of them, in the form of scripts/vitest-reporter.mjs. */
export async function checks() {
  const summary = { passed: 0, failed: 0, skipped: [], problems: [], running: [] };
  for (const { name, check } of CHECKS) {
    try {
      await step(name, async () => void (await check()));
      summary.passed++;
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      console.log(error.report());
      summary.problems.push(`${name}: ${error.message}, see the beginning`);
    }
  }
  return summary;
}
