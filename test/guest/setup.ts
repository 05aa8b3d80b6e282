// setup.ts - before each file: the networks of the file before (two-networks.ts) are gone, and so are the RDMA devices on them, which the
// kernel takes away some time after their interfaces.

import { existsSync } from 'node:fs';
import { PLACES } from './two-networks.js';

const remaining = () =>
  PLACES.flatMap(([name]) => [`/sys/class/net/${name}`, `/sys/class/infiniband/rx${name}`]).filter((path) => existsSync(path));

for (let waited = 0; remaining().length > 0; waited++) {
  if (waited === 1200) throw new Error(`of the file before there is still ${remaining().join(' ')}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
