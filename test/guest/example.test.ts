// example.test.ts - the example of docs/rdma-from-node.md, as a user runs it.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('08-rdma-verbs sends and writes', () => {
  const example = join(import.meta.dirname, '../../packages/examples/dist/08-rdma-verbs.js');
  const output = execFileSync(process.execPath, [example], { encoding: 'utf8' });
  expect(output).toContain('rxe0: port 1 is active');
  expect(output).toContain('received 13 bytes: hello by SEND\n');
  expect(output).toContain('found at 8192: written into your memory\n');
});
