// endings.test.ts - the end of a loop that has a device open: whatever way it ends, nothing crashes and nothing stays behind.

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const holder = join(import.meta.dirname, '../dist/guest/holder.js');

interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

function run(...args: string[]): Promise<End> {
  const child = spawn(process.execPath, [holder, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, output })));
}

/** Queue pairs of processes that the kernel still has; its own, of SMC, have no process. */
function leftOver(): string[] {
  const shown = execFileSync('rdma', ['resource', 'show', 'qp'], { encoding: 'utf8' });
  return shown.split('\n').filter((line) => / pid \d+ /.test(line));
}

describe('a process that has everything open', () => {
  afterEach(() => expect(leftOver()).toEqual([]));

  it.each(['natural', 'exit', 'exit-midway', 'close'])('ends by itself: %s', async (how) => {
    expect(await run(how)).toEqual({ code: 0, signal: null, output: 'open\n' });
  });

  it('ends by an exception, as any process', async () => {
    const { code, output } = await run('throw');
    expect(code).toBe(1);
    expect(output).toContain('on purpose');
  });

  it('ends by SIGKILL, and the kernel cleans up', async () => {
    expect(await run('kill')).toEqual({ code: null, signal: 'SIGKILL', output: 'open\n' });
  });
});

describe('a worker that has everything open', () => {
  afterEach(() => expect(leftOver()).toEqual([]));

  it.each(['natural', 'exit', 'exit-midway', 'close', 'throw', 'stay'])('ends, and its process goes on: %s', async (how) => {
    expect(await run(how, 'worker')).toEqual({ code: 0, signal: null, output: 'on\n' });
  });

  it('ends beside others', async () => {
    expect(await run('stay', 'workers')).toEqual({ code: 0, signal: null, output: 'on\non\non\n' });
  });
});
