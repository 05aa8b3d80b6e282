// setup.ts - before each file: the networks of the file before (two-networks.ts) are gone.

import { existsSync } from 'node:fs';

for (let waited = 0; existsSync('/sys/class/net/a0') || existsSync('/sys/class/net/b0'); waited++) {
  if (waited === 600) throw new Error('the networks of the file before are still there');
  await new Promise((resolve) => setTimeout(resolve, 100));
}
