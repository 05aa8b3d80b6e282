// vitest-reporter.mjs - collects what became of every test, with the reason of every skip, into the JSON file named by
// SMC_TEST_SUMMARY: {passed, failed, skipped: [{file, name, reason}], problems}. scripts/test.mjs reads it.
//
// A skip has its reason from ctx.skip('reason'), or from the option `meta: { reason }` of a test or of a describe around
// it, which is the way for it.skipIf and describe.skipIf.

import { writeFileSync } from 'node:fs';

export default class SummaryReporter {
  #selection;

  onInit(vitest) {
    this.#selection = vitest.config.testNamePattern;
  }

  onTestRunEnd(modules, unhandledErrors) {
    // Errors outside any test: a file that cannot be loaded, a failing hook around tests, a rejection nobody handled.
    const summary = { passed: 0, failed: 0, skipped: [], problems: unhandledErrors.map((error) => String(error.message)) };
    for (const module of modules) {
      for (const test of module.children.allTests()) this.#count(summary, module, test);
      for (const suite of [module, ...module.children.allSuites()]) {
        for (const error of suite.errors()) summary.problems.push(`${module.relativeModuleId}: ${error.message}`);
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
