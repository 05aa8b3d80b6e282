// vitest-reporter.mjs - collects what became of every test, with the reason of every skip, into the JSON file named by
// SMC_TEST_SUMMARY: {passed, failed, skipped: [{file, name, reason}], problems, running}. scripts/test.mjs reads it. The
// file is rewritten whenever a test file begins or ends, so that a run that is cut short tells how far it came.
//
// A skip has its reason from ctx.skip('reason'), or from the option `meta: { reason }` of a test or of a describe around
// it. it.skipIf and describe.skipIf have none: ctx.skip(condition, 'reason') in the test or a beforeEach.

import { writeFileSync } from 'node:fs';

/**
 * An error that nobody handled, in one line: a log that was cut short must still tell in which file, next to which test, and where
 * it was made. The test is the one that ran at that moment, which may be the one behind the culprit.
 */
function whereFrom(error) {
  const { VITEST_TEST_PATH: file, VITEST_TEST_NAME: name, stacks = [], stack = '' } = error;
  const frames = stacks.length > 0 ? stacks.map((one) => `${one.file}:${one.line}`) : stack.split('\n').slice(1, 6);
  const path = file === undefined ? '' : `${file}${name === undefined ? '' : ` > ${name}`}: `;
  return `${path}${error.message} (${frames.map((frame) => frame.trim()).join(' < ')})`.replaceAll(`${process.cwd()}/`, '');
}

export default class SummaryReporter {
  #selection;
  #ended = [];
  #running = new Set();

  onInit(vitest) {
    this.#selection = vitest.config.testNamePattern;
  }

  onTestModuleStart(module) {
    this.#running.add(module.relativeModuleId);
    this.#write(this.#ended, []);
  }

  onTestModuleEnd(module) {
    this.#running.delete(module.relativeModuleId);
    this.#ended.push(module);
    this.#write(this.#ended, []);
  }

  onTestRunEnd(modules, unhandledErrors) {
    this.#running.clear();
    this.#write(modules, unhandledErrors);
  }

  #write(modules, unhandledErrors) {
    // Errors outside any test: a file that cannot be loaded, a failing hook around tests, a rejection nobody handled.
    const problems = unhandledErrors.map(whereFrom);
    const summary = { passed: 0, failed: 0, skipped: [], problems, running: [...this.#running] };
    for (const module of modules) {
      for (const test of module.children.allTests()) this.#count(summary, module, test);
      for (const suite of [module, ...module.children.allSuites()]) {
        for (const error of suite.errors()) problems.push(`${module.relativeModuleId}: ${error.message}`);
      }
    }
    const file = process.env.SMC_TEST_SUMMARY;
    if (file) writeFileSync(file, JSON.stringify(summary));
  }

  #count(summary, module, test) {
    const { state, note } = test.result();
    if (state === 'passed') summary.passed++;
    else if (state === 'failed') summary.failed++;
    else summary.skipped.push({ file: module.relativeModuleId, name: test.fullName, reason: note || this.#reason(test, state) });
  }

  #reason(test, state) {
    for (let task = test; task !== undefined && task.type !== 'module'; task = task.parent) {
      const { reason } = task.meta();
      if (reason) return reason;
    }
    if (state === 'pending') return 'the run ended before it';
    if (test.options.mode === 'todo') return 'to be written';
    return this.#selection && !this.#selection.test(test.fullName) ? 'not selected' : 'no reason given';
  }
}
