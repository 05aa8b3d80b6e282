// piscina-fill.test.ts - frames of a source that are made in the ring of a worker.

import { setTimeout as delay } from 'node:timers/promises';
import { type FrameFill, mapFrames, mapFramesSettled } from '@smcjs/core/worker';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../threads/pair.js';
import { all, doubles, numbered, poolOf } from './pool.js';
import { computed } from './pool-worker.js';

describe('a frame that is made in the ring', () => {
  it('equals one that is copied, and comes between such', { timeout: 180_000 }, async () => {
    const pool = poolOf();
    const frame = fc.record({
      values: fc.array(fc.double(), { maxLength: 300 }).map((values) => Float64Array.from(values)),
      made: fc.boolean(),
    });
    const plan = fc.record({
      source: fc.array(frame, { maxLength: 40 }),
      ahead: fc.integer({ min: 1, max: 4 }),
      asynchronous: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ source, ahead, asynchronous }) => {
        const given = source.map(({ values, made }) =>
          made ? { length: values.length, fill: (view: Float64Array) => view.set(values) } : values,
        );
        async function* later(): AsyncGenerator<Float64Array | FrameFill<Float64Array>> {
          for (const one of given) yield one;
        }
        const got: Float64Array[] = [];
        const options = { ...doubles, ahead, name: 'reserving', ringSize: 16_384 };
        for await (const { view } of mapFrames(pool, asynchronous ? later() : given, options)) got.push(view.slice());
        expect(got).toEqual(source.map(({ values }) => computed(values)));
      }),
      { numRuns: 15 },
    );
  });

  it('is made again, the same, when the worker that had it behind another has died', async () => {
    const pool = poolOf({ maxThreads: 1 });
    const made = new Map<number, number>();
    const source = Array.from({ length: 12 }, (_, index) => ({
      length: 4,
      fill: (view: Float64Array) => {
        made.set(index, (made.get(index) ?? 0) + 1);
        view.fill(index === 1 ? -2 : index);
      },
    }));
    const seen = await all(mapFramesSettled(pool, source, { ...doubles, name: 'obeying', ahead: 4 }));
    expect(seen.get(1)).toBe('worker exited with code: 3');
    for (const index of source.keys()) if (index !== 1) expect((seen.get(index) as Float64Array)[0]).toBe(index * 2 + 1);
    // Two and three were behind it in the ring of the worker that died.
    expect([0, 1, 2, 3].map((index) => made.get(index))).toEqual([1, 1, 2, 2]);
  });

  it('fails where it cannot be made', async () => {
    const pool = poolOf();
    const source = [
      { length: 1, fill: (view: Float64Array) => view.fill(1) },
      {
        length: 1,
        fill: () => {
          throw new RangeError('not made');
        },
      },
      { length: 100_000, fill: () => undefined },
      { length: 1.5, fill: () => undefined },
      { fill: () => undefined } as never,
      { length: 1 } as never,
      // Has a length and a fill(), too.
      [1, 2] as never,
      undefined as never,
      Float64Array.of(2),
    ];
    const found: unknown[] = [];
    for await (const outcome of mapFramesSettled(pool, source, { ...doubles, name: 'copying', ringSize: 65_536 })) {
      const { code, message } = outcome.status === 'rejected' ? (outcome.reason as { code?: string; message: string }) : {};
      found.push(outcome.status === 'fulfilled' ? outcome.view[0] : (code ?? message));
    }
    const misuse = 'ERR_SMC_FRAME_MISUSE';
    const type = 'ERR_SMC_FRAME_TYPE';
    expect(found).toEqual([3, 'not made', 'ERR_SMC_RECORD_TOO_LARGE', misuse, misuse, type, type, type, 5]);
  });

  it.each([
    ['a promise', (late: Promise<void>) => late],
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    ['a thenable', (late: Promise<void>) => ({ then: late.then.bind(late) })],
    ['a promise that rejects', (late: Promise<void>) => late.then(() => Promise.reject(new Error('late')))],
  ])('ends the map where fill() returns %s: it would write into others', async (_name, returned) => {
    const pool = poolOf();
    const source = numbered(20).map((frame, index) => ({
      length: 4,
      fill: (view: Float64Array) => {
        if (index === 5) return returned(delay(5).then(() => void view.fill(-7)));
        view.set(frame);
      },
    }));
    const seen: number[] = [];
    const code = await codeOf(async () => {
      for await (const { index, view } of mapFrames(pool, source, { ...doubles, name: 'copying' })) {
        expect(view).toEqual(new Float64Array(4).fill(index * 2 + 1));
        seen.push(index);
        await delay(2);
      }
    });
    expect(code).toBe('ERR_SMC_FRAME_MISUSE');
    expect(seen.length).toBeLessThanOrEqual(5);
    await delay(10);
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });
});
