// start.mjs - `npm start`: set-up, then the demonstration (packages/examples/start.ts). It ends by itself.

import { join } from 'node:path';
import { setup } from './setup.mjs';
import { ROOT, runAsProgram, runVisibly } from './steps.mjs';

await runAsProgram(import.meta.url, async () => {
  await setup();
  console.log();
  return runVisibly(process.execPath, [join(ROOT, 'packages/examples/dist/start.js')]);
});
