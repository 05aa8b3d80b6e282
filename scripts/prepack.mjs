// prepack.mjs - builds what the tarball of a package needs; `prepack` in each packages/*/package.json calls it. Here,
// unlike in set-up, an addon that cannot be built is an error: nobody may publish a package without its own.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ADDONS, buildAddon } from './build-addon.mjs';
import { ROOT, run, runAsProgram, step } from './steps.mjs';

await runAsProgram(import.meta.url, async ([name]) => {
  const directory = join(ROOT, 'packages', name);
  if (ADDONS.includes(name)) await step('Addon', () => buildAddon(name));
  await step('TypeScript', async () => {
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', directory]);
    removeOrphans(directory);
  });
});

/** Outputs of sources that no longer exist would be published; the compiler leaves them behind. */
function removeOrphans(directory) {
  for (const name of readdirSync(join(directory, 'dist'), { recursive: true })) {
    const output = /^(.*)\.(js|js\.map|d\.ts|d\.ts\.map)$/.exec(name);
    if (output !== null && !existsSync(join(directory, 'src', `${output[1]}.ts`))) rmSync(join(directory, 'dist', name));
  }
}
