// bench.mjs - `npm run bench`: set-up, then the side-by-side benchmark (bench/main.ts) with the arguments given.
//
//   npm run bench                    everything, about 12 minutes
//   npm run bench -- --quick         within 90 seconds
//   npm run bench -- --help          all options

import { join } from 'node:path';
import { setup } from './setup.mjs';
import { ROOT, runAsProgram, runVisibly } from './steps.mjs';

await runAsProgram(import.meta.url, async (args) => {
  await setup();
  return runVisibly(process.execPath, [join(ROOT, 'bench/dist/main.js'), ...args]);
});
