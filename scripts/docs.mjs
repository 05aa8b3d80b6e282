// docs.mjs - `npm run docs`: the API reference of the three packages, from their docstrings, into docs/api.

import { join } from 'node:path';
import { setup } from './setup.mjs';
import { ROOT, run, runAsProgram, step } from './steps.mjs';

await runAsProgram(import.meta.url, async () => {
  await setup();
  const typedoc = join(ROOT, 'node_modules/typedoc/bin/typedoc');
  const advice = 'fix the docstrings named above: a warning is an error here';
  await step('API reference (docs/api)', async () => void (await run(process.execPath, [typedoc], { advice })));
});
