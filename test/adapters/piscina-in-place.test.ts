// piscina-in-place.test.ts - workers that answer with the frame itself: it stays where it was until its answer has been used.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { mapFrames, mapFramesSettled } from '@smcjs/core/worker';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { until } from '../support/events.js';
import { all, doubles, execArgv, filename, messageOf, numbered, poolOf } from './pool.js';
import { computed } from './pool-worker.js';

describe('an answer in the place of its frame', () => {
  it('equals any other, and comes between such', { timeout: 180_000 }, async () => {
    const pool = poolOf();
    const frame = fc.array(fc.double(), { maxLength: 1000 }).map((values) => Float64Array.from(values));
    const plan = fc.record({
      source: fc.array(frame, { maxLength: 60 }),
      ahead: fc.integer({ min: 1, max: 6 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      name: fc.constantFrom('inPlace', 'changing'),
      made: fc.boolean(),
      ordered: fc.boolean(),
      ringSize: fc.constantFrom(16_384, 32_768),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ source, made, ...options }) => {
        const given = made ? source.map((values) => ({ length: values.length, fill: (view: Float64Array) => view.set(values) })) : source;
        const got = new Map<number, Float64Array>();
        for await (const { index, view } of mapFrames(pool, given, { ...doubles, ...options })) {
          if (options.ordered) expect(index).toBe(got.size);
          expect(got.has(index)).toBe(false);
          got.set(index, view.slice());
        }
        expect(source.map((_, index) => got.get(index))).toEqual(source.map(computed));
      }),
      { numRuns: 30 },
    );
  });

  it('is the memory of the frame: the answers have no room for it', async () => {
    const pool = poolOf({ maxThreads: 1 });
    const places = new Set<unknown>();
    const source = numbered(40, 500).map((frame) => ({
      length: frame.length,
      fill: (view: Float64Array) => {
        places.add(view.byteOffset);
        view.set(frame);
      },
    }));
    let count = 0;
    for await (const { view, index } of mapFrames(pool, source, { ...doubles, name: 'inPlace', ringSize: 16_384 })) {
      expect(places).toContain(view.byteOffset);
      expect(view).toEqual(new Float64Array(500).fill(index * 2 + 1));
      count++;
    }
    expect(count).toBe(40);
  });

  it('is not written over while it is used, however full the ring is', async () => {
    const pool = poolOf();
    // 7 of them fill a ring.
    for await (const { view, index } of mapFrames(pool, numbered(60, 280), { ...doubles, name: 'inPlace', ahead: 12, ringSize: 16_384 })) {
      if (index % 3 === 0) await delay(3);
      expect(view).toEqual(new Float64Array(280).fill(index * 2 + 1));
    }
  });

  it('moves many times what its ring holds, in frames that fill nearly half of it', async () => {
    const pool = poolOf();
    let next = 0;
    for await (const { view, index } of mapFrames(pool, numbered(100, 1000), { ...doubles, name: 'inPlace', ringSize: 16_384 })) {
      expect(index).toBe(next++);
      expect(view).toEqual(new Float64Array(1000).fill(index * 2 + 1));
    }
    expect(next).toBe(100);
  });

  it('is computed from the frame as the source gave it, also when a worker died half way', async () => {
    const pool = poolOf({ maxThreads: 1 });
    const seen = await all(mapFramesSettled(pool, numbered(20), { ...doubles, name: 'inPlace', ahead: 4, data: { dies: 7 } }));
    expect(seen.get(7)).toBe('worker exited with code: 6');
    for (let index = 0; index < 20; index++) {
      if (index !== 7) expect(seen.get(index)).toEqual(new Float64Array(4).fill(index * 2 + 1));
    }
  });

  it('alone keeps the room of its frame: others give it back before they are taken', async () => {
    const pool = poolOf({ maxThreads: 1 });
    const count = new Int32Array(new SharedArrayBuffer(4));
    // Two of them fill the ring.
    const options = { ...doubles, name: 'counting', ahead: 8, concurrency: 1, ringSize: 16_384, data: { computed: count } };
    for await (const { index } of mapFrames(pool, numbered(20, 1000), options)) {
      if (index > 0) break;
      // The loop waits in the first answer; the worker goes on with all that may be under way.
      await until(() => Atomics.load(count, 0) === 8);
    }
  });

  it('may be left: the pool is as it was', async () => {
    const pool = poolOf();
    for await (const { index } of mapFrames(pool, numbered(50), { ...doubles, name: 'inPlace', ahead: 4 })) if (index === 9) break;
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });

  it('cannot be had beside one that was reserved', async () => {
    const pool = poolOf();
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, numbered(1), { ...doubles, name: 'doubled' }));
    });
    expect(message).toBe('one frame has one answer: reserve it once');
  });

  it.each([
    ['development', undefined],
    ['development', 'production'],
    ['production', 'development'],
  ])('is copied where views are: main thread in %s, workers in %s', async (main, workers) => {
    const script = `
      import { mapFrames } from '@smcjs/core/worker';
      import { Piscina } from 'piscina';
      const workers = ${JSON.stringify(workers)};
      const env = workers === undefined ? process.env : { ...process.env, NODE_ENV: workers };
      const pool = new Piscina({ filename: ${JSON.stringify(filename)}, maxThreads: 2, env, execArgv: ${JSON.stringify(execArgv)} });
      const source = Array.from({ length: 20 }, (_, index) => new Float64Array(3).fill(index));
      const options = { input: Float64Array, output: Float64Array, name: 'inPlace', ahead: 3 };
      const views = [];
      let text = '';
      for await (const { view } of mapFrames(pool, source, options)) {
        text += view[2] + ' ';
        views.push(view);
      }
      console.log(text + views.some(({ length }) => length > 0));
      await pool.destroy();
    `;
    const env = { ...process.env, NODE_ENV: main };
    const cwd = import.meta.dirname;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { env, cwd });
    const words = stdout.trim().split(' ');
    // What is kept past its time reads as nothing where the main thread is in development.
    expect(words.pop()).toBe(String(main !== 'development'));
    expect(words.map(Number)).toEqual(Array.from({ length: 20 }, (_, index) => index * 2 + 1));
  });
});
