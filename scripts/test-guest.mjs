// test-guest.mjs - `npm run test:guest`: set-up, then test/guest in the test guest, where there are an RDMA device and the
// kernel's SMC. A machine that cannot run a guest skips it and says why; in CI that is a failure.
//
//   npm run test:guest                                          in full length; npm test has it shorter
//   npm run test:guest -- test/guest/verbs.test.ts -t WRITE     arguments go to vitest

import { join } from 'node:path';
import { guestLacks, PYTHON, runInGuest } from './guest/boot.mjs';
import { setup } from './setup.mjs';
import { ROOT, runAsProgram, StepError } from './steps.mjs';

/** A cgroup with a program for sockets: what the kernel does where it meets the first one must come before, see boot.mjs. */
const PREPARE = [[PYTHON, '-I', '-S', join(ROOT, 'test/guest/kernel/tcp_option.py')]];

/** Seconds for the whole suite, which takes 8 to 18 minutes on two processors that are emulated; and in full length. */
const LIMIT = { short: 1500, long: 1800 };

/**
 * Runs the suite, or what vitest's arguments select of it; `long` in full length. Resolves to what scripts/vitest-reporter.mjs says
 * of it; a guest that could not be had, or broke down, is a skip with its reason, or a problem.
 */
export async function testGuest(args = [], { long = false } = {}) {
  const file = 'test/guest';
  const cannot = (reason) =>
    process.env.CI
      ? { passed: 0, failed: 0, skipped: [], problems: [`${file}: ${reason}`], running: [] }
      : { passed: 0, failed: 0, skipped: [{ file, name: 'all of it', reason }], problems: [], running: [] };
  const lacks = guestLacks();
  if (lacks !== undefined) return cannot(lacks);
  const reporters = ['--reporter=verbose', `--reporter=${join(ROOT, 'scripts/vitest-reporter.mjs')}`];
  const command = [process.execPath, join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...args];
  const env = {
    SMC_TEST_GUEST: '1',
    SMC_TEST_SUMMARY: '/run/guest/summary.json',
    CI: 'true',
    NO_COLOR: '1',
    ...(long ? { SMC_TEST_LONG: '1' } : {}),
  };
  const limit = long ? LIMIT.long : LIMIT.short;
  try {
    const options = { env, prepare: PREPARE, timeout: limit, results: ['summary.json'], onOutput: wholeLines() };
    const { code, files } = await runInGuest(command, options);
    return summaryOf(files['summary.json'], code, limit);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.log(error.report());
    return cannot(error.message);
  }
}

/** Prints what comes in pieces line by line. */
function wholeLines() {
  let rest = '';
  return (chunk) => {
    const text = rest + chunk;
    const end = text.lastIndexOf('\n') + 1;
    if (end > 0) process.stdout.write(text.slice(0, end));
    rest = text.slice(end);
  };
}

function summaryOf(text, code, limit) {
  const summary = text === undefined ? { passed: 0, failed: 0, skipped: [], problems: [], running: [] } : JSON.parse(text);
  if (code === undefined) summary.problems.push(`the guest broke down or took longer than ${limit} s, see above`);
  else if (code !== 0 && summary.failed + summary.problems.length === 0)
    summary.problems.push(`vitest ended with exit code ${code} in the guest`);
  return summary;
}

await runAsProgram(import.meta.url, async (args) => {
  await setup();
  const { passed, failed, skipped, problems, running } = await testGuest(args, { long: true });
  const found = [...problems, ...running.map((file) => `${file} was running when the guest ended`)];
  for (const { file, name, reason } of skipped) console.log(`skipped: ${file} > ${name}: ${reason}`);
  for (const problem of found) console.log(`failed outside a test: ${problem}`);
  console.log(`${passed} passed, ${failed + found.length} failed, ${skipped.length} skipped`);
  return failed + found.length === 0 ? 0 : 1;
});
