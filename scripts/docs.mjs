// docs.mjs - `npm run docs`: the API reference of the published packages, from their docstrings, into docs/api.

import { join } from 'node:path';
import { setup } from './setup.mjs';
import { PUBLISHED, ROOT, run, runAsProgram, step } from './steps.mjs';

/** Makes it, with more options for typedoc if given. */
export async function apiReference(...options) {
  const typedoc = join(ROOT, 'node_modules/typedoc/bin/typedoc');
  const advice = 'fix the docstrings named above: a warning is an error here';
  const entries = PUBLISHED.flatMap((name) => ['--entryPoints', join(ROOT, 'packages', name)]);
  await run(process.execPath, [typedoc, ...entries, ...options], { advice });
}

await runAsProgram(import.meta.url, async () => {
  await setup();
  await step('API reference (docs/api)', () => apiReference());
});
