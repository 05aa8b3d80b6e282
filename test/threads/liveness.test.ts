// liveness.test.ts - an open end keeps its event loop alive exactly as a socket does.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

const script = fileURLToPath(new URL('../dist/threads/liveness.js', import.meta.url));

/** A process that does this with a channel; killed, at the latest, when the test ends. */
function run(way: string): { child: ChildProcess; ended: Promise<{ code: number | null; text: string }> } {
  const child = spawn(process.execPath, [script, way], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, text }))) };
}

describe('the event loop', () => {
  for (const way of ['unref', 'destroyed', 'ended both ways', 'unref and busy', 'awaiting, unref', 'unref does not stop polling others']) {
    it(`ends by itself with its ends ${way}`, async () => {
      expect(await run(way).ended).toEqual({ code: 0, text: 'exit\n' });
    });
  }

  it('lives until what it waits for has come', async () => {
    expect(await run('waiting for a worker').ended).toEqual({ code: 0, text: 'received 1000\nexit\n' });
  });

  for (const way of ['open', 'unref and ref']) {
    it(`stays alive with an end ${way}`, async () => {
      const { child, ended } = run(way);
      const first = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 700, 'alive'))]);
      expect(first).toBe('alive');
      child.kill('SIGTERM');
      expect((await ended).code).toBe(null);
    });
  }
});
