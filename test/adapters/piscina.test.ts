// piscina.test.ts - rings to and from the tasks of a pool: maps, streams, and what happens when workers throw, die or are aborted.

import { setTimeout as delay } from 'node:timers/promises';
import { batches, frames, sendAll } from '@smcjs/core/channel';
import { type MapFramesOptions, mapFrames, mapFramesSettled, streamTask, type TaskPool } from '@smcjs/core/worker';
import fc from 'fast-check';
import type { Piscina } from 'piscina';
import { describe, expect, it } from 'vitest';
import { collect, settled, until } from '../support/events.js';
import { codeOf } from '../threads/pair.js';
import { all, doubles, filename, messageOf, numbered, poolOf } from './pool.js';
import { computed } from './pool-worker.js';

describe('a map over frames', () => {
  it('equals a plain map, in order, whatever the frames and the bounds are', { timeout: 180_000 }, async () => {
    const pool = poolOf();
    const frame = fc.array(fc.double(), { maxLength: 300 }).map((values) => Float64Array.from(values));
    const plan = fc.record({
      source: fc.array(frame, { maxLength: 40 }),
      ahead: fc.integer({ min: 1, max: 4 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      name: fc.constantFrom('copying', 'reserving'),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ source, ...options }) => {
        const got: Float64Array[] = [];
        for await (const { index, view } of mapFrames(pool, source, { ...doubles, ...options, ringSize: 16_384 })) {
          expect(index).toBe(got.length);
          got.push(view.slice());
        }
        expect(got).toEqual(source.map(computed));
      }),
      { numRuns: 15 },
    );
  });

  it('waits a turn for a handler that does not wait for its reserve()', async () => {
    const pool = poolOf();
    const got: Float64Array[] = [];
    for await (const { view } of mapFrames(pool, numbered(20), { ...doubles, name: 'floating' })) got.push(view.slice());
    expect(got).toEqual(numbered(20).map(computed));
  });

  it('without order gives every answer once, the quick ones before the slow', async () => {
    const pool = poolOf({ minThreads: 2 });
    const options = { ...doubles, name: 'obeying', ordered: false, data: { slow: 20 }, ahead: 3 };
    const indices: number[] = [];
    for await (const { index, view } of mapFrames(pool, numbered(30), options)) {
      expect(view[0]).toBe(index * 2 + 1);
      indices.push(index);
    }
    expect([...indices].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  it('uses several workers, whose answers come back in order all the same', async () => {
    const pool = poolOf({ minThreads: 2 });
    const threads = new Set<number | undefined>();
    let next = 0;
    for await (const { index, view } of mapFrames(pool, numbered(40), { ...doubles, name: 'obeying', data: { slow: 5 } })) {
      expect(index).toBe(next++);
      threads.add(view.at(-1));
    }
    expect(next).toBe(40);
    expect(threads.size).toBe(2);
  });

  it('takes and gives different types, empty answers, and asynchronous sources', async () => {
    const pool = poolOf();
    async function* source(): AsyncGenerator<Float32Array> {
      for (let i = 0; i < 10; i++) yield Float32Array.of(i, i, 1);
    }
    const got: (number | undefined)[] = [];
    const types = { input: Float32Array, output: Uint32Array };
    for await (const { view } of mapFrames(pool, source(), { ...types, name: 'sums' })) got.push(view[0]);
    expect(got).toEqual(Array.from({ length: 10 }, (_, i) => 2 * i + 1));
    for await (const { view } of mapFrames(pool, numbered(3), { ...doubles, name: 'silent' })) expect(view.length).toBe(0);
    for await (const _ of mapFrames(pool, [], { ...doubles, name: 'silent' })) expect.unreachable();
  });

  it('stops the source when the loop is slow: no more is taken than the bound says', async () => {
    const pool = poolOf();
    let taken = 0;
    let most = 0;
    function* source(): Generator<Float64Array> {
      for (; taken < 60; ) yield new Float64Array(1000).fill(taken++);
    }
    let used = 0;
    for await (const _ of mapFrames(pool, source(), { ...doubles, name: 'copying', concurrency: 2, ahead: 3, ringSize: 65_536 })) {
      if (used % 20 === 0) await settled(() => taken, 50);
      most = Math.max(most, taken - used);
      used++;
    }
    expect(used).toBe(60);
    expect(most).toBeLessThanOrEqual(6);
    expect(most).toBeGreaterThan(1);
  });

  it('moves many times what its rings hold, in frames that fill nearly half of one', async () => {
    const pool = poolOf();
    const [first] = numbered(1, 100_000);
    let count = 0;
    function* source(): Generator<Float64Array> {
      for (let i = 0; i < 100; i++) yield (first as Float64Array).fill(0);
    }
    const options = { ...doubles, name: 'reserving', ringSize: 2 ** 21, concurrency: 2, ahead: 4 };
    for await (const { view } of mapFrames(pool, source(), options)) if (view.every((value) => value === 1)) count++;
    expect(count).toBe(100);
  });

  it('leaves the pool as it was when the loop is left, and gives the source back', async () => {
    const pool = poolOf();
    let returned = false;
    function* source(): Generator<Float64Array> {
      try {
        for (;;) yield new Float64Array(10);
      } finally {
        returned = true;
      }
    }
    for await (const { index } of mapFrames(pool, source(), { ...doubles, name: 'copying' })) if (index === 10) break;
    expect(returned).toBe(true);
    expect(pool.queueSize).toBe(0);
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });

  it('shares the pool with other tasks', async () => {
    const pool = poolOf();
    const others = Promise.all(Array.from({ length: 20 }, (_, i) => pool.run(i, { name: 'plain' })));
    expect((await all(mapFramesSettled(pool, numbered(50), { ...doubles, name: 'copying' }))).size).toBe(50);
    expect(await others).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('ends although the pool has no worker for all its tasks, and leaves none of them in the queue', async () => {
    const pool = poolOf({ maxThreads: 2 });
    const busy = streamTask(pool, undefined, { name: 'echo' });
    const ready = new Promise((resolve) => pool.once('workerCreate', resolve));
    await ready;
    const seen = await all(mapFramesSettled(pool, numbered(20), { ...doubles, name: 'copying', concurrency: 4 }));
    expect(seen.size).toBe(20);
    busy.end.end();
    await busy.done;
    await until(() => pool.queueSize === 0);
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });

  it('with concurrentTasksPerWorker and atomics as the user wants them', async () => {
    for (const options of [{ concurrentTasksPerWorker: 3 }, { atomics: 'disabled' }, { atomics: 'async' }] as const) {
      const pool = poolOf({ ...options, maxThreads: 1 });
      const seen = await all(mapFramesSettled(pool, numbered(20), { ...doubles, name: 'copying', concurrency: 3 }));
      expect([...seen.values()]).toEqual(numbered(20).map(computed));
    }
  });

  it('gets on with what the pool has room for when its queue is limited', async () => {
    const pool = poolOf({ maxThreads: 1, maxQueue: 1 });
    const seen = await all(mapFramesSettled(pool, numbered(30), { ...doubles, name: 'copying', concurrency: 6 }));
    expect(seen.size).toBe(30);
  });
});

describe('frames that cannot be computed', () => {
  for (const [order, what] of [
    [-1, 'told to throw'],
    [-2, 'worker exited with code: 3'],
    [-3, 'worker exited with code: 4'],
    [-4, 'the handler returned no Float64Array'],
    [-6, 'a frame of 1000000000 elements of Float64Array; this ring takes up to 65535'],
  ] as const) {
    for (const ordered of [true, false]) {
      it(`have their own error, and nothing else is lost (${what}; ${ordered ? 'in order' : 'as they come'})`, async () => {
        const pool = poolOf();
        const source = numbered(30);
        for (const bad of [4, 5, 17]) source[bad]?.fill(order);
        const outcomes = mapFramesSettled(pool, source, { ...doubles, name: 'obeying', ordered, ahead: 4 });
        const seen = await all(outcomes);
        expect(seen.size).toBe(30);
        if (ordered) expect([...seen.keys()]).toEqual(Array.from({ length: 30 }, (_, i) => i));
        for (const [index, outcome] of seen) {
          if ([4, 5, 17].includes(index)) expect(outcome).toBe(what);
          else expect((outcome as Float64Array).slice(0, 4)).toEqual(computed(source[index] as Float64Array));
        }
      });
    }
  }

  it('may be any of them: each frame has its answer or its own error, once', { timeout: 180_000 }, async () => {
    const pool = poolOf({ maxThreads: 3 });
    const order = fc.oneof({ weight: 8, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.constantFrom(-1, -2, -3) });
    const plan = fc.record({
      orders: fc.array(order, { maxLength: 40 }),
      ordered: fc.boolean(),
      ahead: fc.integer({ min: 1, max: 6 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      slow: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ orders, slow, ...options }) => {
        const source = orders.map((value) => Float64Array.of(value));
        const seen = await all(mapFramesSettled(pool, source, { ...doubles, ...options, name: 'obeying', data: { slow } }));
        expect(seen.size).toBe(orders.length);
        for (const [index, value] of orders.entries()) {
          const outcome = seen.get(index);
          if (value >= 0) expect((outcome as Float64Array)[0]).toBe(value * 2 + 1);
          else expect(outcome).toBe({ 1: 'told to throw', 2: 'worker exited with code: 3', 3: 'worker exited with code: 4' }[-value]);
        }
        if (options.ordered) expect([...seen.keys()]).toEqual([...orders.keys()]);
      }),
      { numRuns: 10 },
    );
  });

  it('end a plain map with their error, after the answers before them', async () => {
    const pool = poolOf();
    const source = numbered(20);
    source[7]?.fill(-1);
    const indices: number[] = [];
    const message = await messageOf(async () => {
      for await (const { index } of mapFrames(pool, source, { ...doubles, name: 'obeying' })) indices.push(index);
    });
    expect({ message, indices }).toEqual({ message: 'told to throw', indices: [0, 1, 2, 3, 4, 5, 6] });
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });

  it('are those of another type and those too large for the ring', async () => {
    const pool = poolOf();
    const source = [Float64Array.of(1), Float32Array.of(1) as never, new Float64Array(100_000), Float64Array.of(2)];
    const codes: unknown[] = [];
    for await (const outcome of mapFramesSettled(pool, source, { ...doubles, name: 'copying', ringSize: 65_536 })) {
      codes.push(outcome.status === 'fulfilled' ? outcome.view[0] : (outcome.reason as { code: string }).code);
    }
    expect(codes).toEqual([3, 'ERR_SMC_FRAME_TYPE', 'ERR_SMC_RECORD_TOO_LARGE', 5]);
  });

  it('are told, and not what the source says when it is told', async () => {
    const pool = poolOf();
    function* source(): Generator<Float64Array> {
      try {
        yield* numbered(3);
        for (;;) yield Float64Array.of(-1);
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: what a careless source does
        throw new Error('cannot clean up');
      }
    }
    const run = (leave: boolean) =>
      messageOf(async () => {
        for await (const _ of mapFrames(pool, source(), { ...doubles, name: 'obeying' })) if (leave) break;
      });
    expect(await run(false)).toBe('told to throw');
    expect(await run(true)).toBe('cannot clean up');
  });

  it('of the source are thrown after the answers to what came before', async () => {
    const pool = poolOf();
    function* source(): Generator<Float64Array> {
      yield* numbered(3);
      throw new Error('no more');
    }
    let count = 0;
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, source(), { ...doubles, name: 'copying' })) count++;
    });
    expect({ message, count }).toEqual({ message: 'no more', count: 3 });
  });
});

describe('a pool that runs no more tasks', () => {
  /** What `pool` runs, until `admits` says no to task number so and so. */
  const gate = (pool: Piscina, admits: (number: number) => boolean | Promise<boolean>): TaskPool => {
    let count = 0;
    return {
      run: async (task, options) => {
        if (await admits(count++)) return pool.run(task, options as never);
        throw new Error('no more tasks');
      },
      options: { maxThreads: 2 },
    };
  };

  it.each(['copying', 'inPlace'])('ends a map when the answers of workers that are gone have been taken (%s)', async (name) => {
    const pool = poolOf({ maxThreads: 1 });
    let admits = true;
    const seen: number[] = [];
    const message = await messageOf(async () => {
      const options = { ...doubles, name, ahead: 2, concurrency: 1 };
      for await (const { index } of mapFramesSettled(
        gate(pool, () => admits),
        numbered(8),
        options,
      )) {
        seen.push(index);
        if (index !== 1) continue;
        // The answer to number 2 is in the ring by then, and no more.
        await delay(200);
        admits = false;
        await pool.threads[0]?.terminate();
        await delay(100);
      }
    });
    expect([message, seen]).toEqual(['no more tasks', [0, 1, 2]]);
  });

  it('does not leave a frame waiting behind younger ones that have every worker', async () => {
    const pool = poolOf({ minThreads: 2 });
    // The second starts when the first has frames 0 and 1; it gets 2 and 3, the first dies of 0, and there is no third.
    const tasks = gate(pool, async (number) => {
      if (number === 1) await delay(200);
      return number < 2;
    });
    const source = numbered(6);
    source[0]?.fill(-7);
    const seen = await all(mapFramesSettled(tasks, source, { ...doubles, name: 'obeying' }));
    expect(seen.get(0)).toBe('worker exited with code: 3');
    for (let index = 1; index < 6; index++) expect((seen.get(index) as Float64Array)[0]).toBe(index * 2 + 1);
  });
});

describe('a map that cannot be', () => {
  const run = (pool: Piscina, options: Partial<MapFramesOptions<Float64Array, Float64Array>>) => async () => {
    for await (const _ of mapFrames(pool, numbered(4), { ...doubles, ...options }));
  };

  it('says why: no worker file, no serveFrames, other types, options', async () => {
    const pool = poolOf();
    expect(await messageOf(run(pool, { filename: `${filename}.none` }))).toContain('Cannot find module');
    expect(await messageOf(run(pool, { name: 'plain' }))).toContain('serveFrames()');
    expect(await codeOf(run(pool, { name: 'plain' }))).toBe('ERR_SMC_TASK_ENDED');
    expect(await codeOf(run(pool, { name: 'floats' }))).toBe('ERR_SMC_FRAME_TYPE');
    for (const wrong of [{ ahead: 0 }, { concurrency: 1.5 }, { ringSize: 100_000 }]) {
      expect(await codeOf(run(pool, { name: 'copying', ...wrong }))).toBe('ERR_SMC_INVALID_OPTION');
    }
    expect(await messageOf(() => pool.run(1, { name: 'copying' }))).toContain('not by pool.run()');
  });

  it('does not try for ever with workers that die as they start: it is an error, or they were quick enough', async () => {
    const pool = poolOf({ env: { ...process.env, SMC_TEST_FLEETING: '1' } });
    let answers = 0;
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, numbered(4), { ...doubles, name: 'fleeting' })) answers++;
    });
    if (answers < 4) expect(message).toBe('worker exited with code: 5');
  });

  it('ends when the pool is destroyed', async () => {
    const pool = poolOf();
    const source = numbered(100);
    let count = 0;
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, source, { ...doubles, name: 'obeying' })) if (count++ === 3) void pool.destroy();
    });
    expect(message).toBeDefined();
    expect(count).toBeLessThan(100);
  });
});

describe('an abort', () => {
  it('ends a map with its reason, also of workers that never come back', async () => {
    const pool = poolOf();
    const controller = new AbortController();
    const source = [...numbered(3), new Float64Array(1).fill(-5), ...numbered(3)];
    setTimeout(() => controller.abort(new Error('enough')), 300);
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, source, { ...doubles, name: 'obeying', signal: controller.signal }));
    });
    expect(message).toBe('enough');
    expect(await pool.run(1, { name: 'plain' })).toBe(2);
  });

  it('before the start runs nothing', async () => {
    const pool = poolOf();
    const signal = AbortSignal.abort(new Error('never'));
    const before = pool.completed;
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, numbered(3), { ...doubles, name: 'copying', signal }));
    });
    expect(message).toBe('never');
    expect(pool.completed).toBe(before);
  });

  it('ends a map that waits for its source', async () => {
    const pool = poolOf();
    const controller = new AbortController();
    async function* source(): AsyncGenerator<Float64Array> {
      yield Float64Array.of(1);
      await new Promise(() => {});
    }
    const message = await messageOf(async () => {
      for await (const _ of mapFrames(pool, source(), { ...doubles, name: 'copying', signal: controller.signal })) {
        setImmediate(() => controller.abort(new Error('enough')));
      }
    });
    expect(message).toBe('enough');
  });
});

describe('a task with a channel', () => {
  it('gets records, gives them back, and its result is the value it returns', async () => {
    const pool = poolOf();
    const { end, done } = streamTask(pool, { any: 'data' }, { name: 'echo' });
    const sending = sendAll(
      end,
      Array.from({ length: 1000 }, (_, i) => Buffer.from(`record ${i}`)),
    ).then(() => end.end());
    let count = 0;
    for await (const batch of batches(end)) for (const record of batch) expect(String(Buffer.from(record))).toBe(`record ${count++}`);
    await sending;
    expect(await done).toEqual({ count: 1000, data: { any: 'data' } });
    expect(count).toBe(1000);
  });

  it('waits while nobody reads: a slow consumer stops it', async () => {
    const pool = poolOf();
    const counter = new Int32Array(new SharedArrayBuffer(4));
    const { end, done } = streamTask<string>(pool, counter, { name: 'producer', ringSize: 65_536 });
    const incoming = frames(end, Float64Array);
    let read = 0;
    for await (const { view } of incoming) {
      expect(view[0]).toBe(read++);
      if (read % 50 === 0) await settled(() => Atomics.load(counter, 0), 50);
      // What is in the ring, and the one that is lent.
      expect(Atomics.load(counter, 0) - read).toBeLessThanOrEqual(65_536 / 808);
      if (read === 500) break;
    }
    end.destroy();
    expect(await done).toBe('left');
  });

  it('has everything sent that it wrote before it returned', async () => {
    const pool = poolOf();
    const { end, done } = streamTask<number>(pool, 1_000_000, { name: 'bytes' });
    expect((await collect(end)).length).toBe(1_000_000);
    expect(await done).toBe(1_000_000);
  });

  it('that throws leaves what it sent, then ECONNRESET; done says why', async () => {
    const pool = poolOf();
    const { end, done } = streamTask(pool, undefined, { name: 'throwing' });
    const got: string[] = [];
    const code = await codeOf(async () => {
      for await (const batch of batches(end)) got.push(...batch.map((record) => String(Buffer.from(record))));
    });
    expect({ got, code }).toEqual({ got: ['before'], code: 'ECONNRESET' });
    expect(await messageOf(() => done)).toBe('on purpose');
  });

  it('that is never run has an end all the same', async () => {
    const pool = poolOf({ maxThreads: 1 });
    const busy = streamTask(pool, undefined, { name: 'echo' });
    const controller = new AbortController();
    const { end, done } = streamTask(pool, undefined, { name: 'echo', signal: controller.signal });
    const closed = new Promise<NodeJS.ErrnoException>((resolve) => end.on('error', resolve));
    controller.abort();
    expect(await messageOf(() => done)).toBe('The task has been aborted');
    expect((await closed).code).toBe('ECONNRESET');
    busy.end.destroy();
    await busy.done.catch(() => {});
  });
});
