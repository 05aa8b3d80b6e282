// test.mjs - `npm test`: set-up, all tests, every skip with its reason, and as the last line the three numbers.
//
//   npm test                       everything, in lengths that suit every change
//   npm run test:long              fuzz, soak and the guest's suite in full length (SMC_TEST_LONG=1)
//   npm test -- test/e2e -t wrap   further arguments go to vitest
//
// Without further arguments the suite of the guest (scripts/test-guest.mjs) follows, and its numbers are added; where CI is set
// scripts/checks.mjs comes first.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from './checks.mjs';
import { setup } from './setup.mjs';
import { ROOT, runAsProgram, runVisibly, StepError } from './steps.mjs';
import { testGuest } from './test-guest.mjs';

await runAsProgram(import.meta.url, async (args) => {
  const addon = await setUp();
  if (addon === undefined) return 1;
  const directory = mkdtempSync(join(tmpdir(), 'smc-test-'));
  try {
    const long = args.includes('--long');
    const rest = args.filter((arg) => arg !== '--long');
    const run = (name, more) => vitest([...rest, ...more], join(directory, `${name}.json`), long);
    return report(rest.length > 0 ? [await run('selected', [])] : await everything(run, long), addon);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/**
 * One after the other. Compliance and endurance beside the guest, at the lowest priority, took 230 s less and the guest 240 s more: two
 * processors of a virtual machine share more than their time.
 */
async function everything(run, long) {
  const before = process.env.CI ? [await checks()] : [];
  const first = await run('first', ['--project=packages', '--project=test', '--project=alone']);
  const second = await run('second', ['--project=compliance', '--project=endurance']);
  return [...before, first, second, await testGuest([], { long })];
}

/** Whether the addons are there; undefined when nothing can be tested, which is one failure. */
async function setUp() {
  try {
    return (await setup()).addon;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.log(`${error.report()}\n0 passed, 1 failed, 0 skipped`);
    return undefined;
  }
}

/** Runs vitest; what its summary says, and what it has not been able to say. */
async function vitest(args, summaryFile, long) {
  const env = { ...process.env, SMC_TEST_SUMMARY: summaryFile, ...(long ? { SMC_TEST_LONG: '1' } : {}) };
  // Without a terminal every test gets its line when it ends: a log must show where a run stands.
  const human = process.stdout.isTTY ? 'default' : 'verbose';
  const reporters = [`--reporter=${human}`, `--reporter=${join(ROOT, 'scripts/vitest-reporter.mjs')}`];
  const program = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const code = await runVisibly(process.execPath, [program, 'run', ...reporters, ...args], { env });
  const summary = readSummary(summaryFile);
  if (code !== 0 && summary.failed + summary.problems.length + summary.running.length === 0)
    summary.problems.push(`vitest ended with exit code ${code}, see above`);
  return summary;
}

/** Without a summary vitest did not get to the end of its run: that is one failure, and it has said why. */
function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: [], problems: ['the test run itself broke off, see above'], running: [] };
  }
}

function report(parts, addon) {
  const sum = (key) => parts.reduce((total, one) => total + one[key], 0);
  const list = (key) => parts.flatMap((one) => one[key]);
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), list('skipped')];
  const found = [...list('problems'), ...list('running').map((file) => `${file} was running when the test run was ended`)];
  // A machine that is set up to test must be able to compile; elsewhere the skipped tests tell what was not tried.
  if (!addon && process.env.CI) found.push('an addon could not be built, see the beginning');
  for (const { file, name, reason } of skipped) console.log(`skipped: ${file} > ${name}: ${reason}`);
  for (const problem of found) console.log(`failed outside a test: ${problem}`);
  const failures = failed + found.length;
  console.log(`${passed} passed, ${failures} failed, ${skipped.length} skipped`);
  return failures === 0 ? 0 : 1;
}
