// pool.ts - pools of these tests, frames for them, and what became of each frame.

import type { SettledFrame } from '@smcjs/core/worker';
import { Piscina } from 'piscina';
import { expect, onTestFinished } from 'vitest';

export const filename = new URL('../dist/adapters/pool-worker.js', import.meta.url).href;
export const doubles = { input: Float64Array, output: Float64Array };

/**
 * Node 20.19 to 22 abort the process when a worker is terminated while its require() of an ES module is under way (see docs/piscina.md).
 * Piscina requires its worker file first, and imports it where that is not possible.
 */
export const execArgv = process.allowedNodeEnvironmentFlags.has('--experimental-require-module')
  ? ['--no-experimental-require-module']
  : [];

export function poolOf(options: ConstructorParameters<typeof Piscina>[0] = {}): Piscina {
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 2, execArgv, ...options });
  onTestFinished(() => pool.destroy());
  return pool;
}

export const numbered = (count: number, length = 4): Float64Array[] =>
  Array.from({ length: count }, (_, index) => new Float64Array(length).fill(index));

export const messageOf = async (run: () => Promise<unknown>): Promise<string | undefined> =>
  run().then(
    () => undefined,
    (error: Error) => error.message,
  );

export async function all(outcomes: AsyncIterable<SettledFrame<Float64Array>>): Promise<Map<number, Float64Array | string>> {
  const seen = new Map<number, Float64Array | string>();
  for await (const outcome of outcomes) {
    expect(seen.has(outcome.index)).toBe(false);
    seen.set(outcome.index, outcome.status === 'fulfilled' ? outcome.view.slice() : (outcome.reason as Error).message);
  }
  return seen;
}
