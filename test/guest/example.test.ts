// example.test.ts - examples as a user runs them: that of docs/rdma-from-node.md, and one that streams between two hosts.

import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setup } from '@smcjs/smcr/tcp-option';
import { expect, it, onTestFinished } from 'vitest';
import { packetsSent } from './rdma.js';

const example = (name: string) => join(import.meta.dirname, '../../packages/examples/dist', name);

it('08-rdma-verbs sends and writes', () => {
  const output = execFileSync(process.execPath, [example('08-rdma-verbs.js')], { encoding: 'utf8' });
  expect(output).toContain('rxe0: port 1 is active');
  expect(output).toContain('received 13 bytes: hello by SEND\n');
  expect(output).toContain('found at 8192: written into your memory\n');
});

it('02-file-transfer, a process on each host, goes by SMC-R', async () => {
  setup();
  // Both hosts are this one, so shared memory would be preferred.
  const env = { ...process.env, SMC_TRANSPORTS: 'smcr,tcp', SMC_HANDSHAKE_TIMEOUT: '60000' };
  const server = spawn(process.execPath, [example('02-file-transfer.js'), 'server', '127.0.0.1'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void server.kill('SIGKILL'));
  const line = await new Promise<string>((resolve) => createInterface({ input: server.stdout }).once('line', resolve));
  const port = /port (\d+)$/.exec(line)?.[1] as string;
  const before = packetsSent();
  const output = execFileSync(process.execPath, [example('02-file-transfer.js'), 'client', port, '127.0.0.1'], { encoding: 'utf8', env });
  expect(output).toMatch(/MB over smcr in/);
  expect(packetsSent() - before).toBeGreaterThan(50_000_000 / 4096);
});
