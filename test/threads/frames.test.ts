// frames.test.ts - typed frames over worker channels, SMC-D and TCP: the same calls, the same numbers, the same errors.

import {
  type FrameConnection,
  type FrameOptions,
  frames,
  type ReadableFrame,
  type TypedArray,
  type TypedArrayConstructor,
} from '@smcjs/core/channel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { both, codeOf } from './pair.js';
import { sockets } from './sockets.js';

const TYPES = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as unknown as TypedArrayConstructor<TypedArray>[];

const ways: { name: string; open: () => Promise<[FrameConnection, FrameConnection]> }[] = [
  { name: 'a worker channel', open: async () => both() },
  { name: 'memory', open: () => sockets('memory') },
  { name: 'TCP', open: () => sockets('tcp') },
];

for (const { name, open } of ways) {
  describe(`typed frames over ${name}`, () => {
    const options = { ringSize: 16_384 };

    for (const checks of [false, true]) {
      it(`are a queue of arrays, checks ${checks ? 'on' : 'off'}: any lengths of any type arrive with their elements`, async () => {
        const plans = fc.record({
          type: fc.constantFrom(...TYPES),
          lengths: fc.array(fc.oneof(fc.nat(20), fc.nat(1000)), { minLength: 1, maxLength: 40 }),
        });
        await fc.assert(
          fc.asyncProperty(plans, async ({ type, lengths }) => {
            const [here, there] = await open();
            const out = frames(here, type, { ...options, checks });
            const into = frames(there, type, { ...options, checks });
            const element = (i: number) => (type.name.startsWith('Big') ? BigInt(i) : i) as never;
            const sending = (async () => {
              for (const [i, length] of lengths.entries()) {
                expect(await out.writable(length)).toBe(true);
                const frame = out.reserve(length + 1) ?? out.reserve(length);
                frame?.view.fill(element(i));
                frame?.commit(length);
              }
              here.end();
            })();
            let i = 0;
            for await (const { view } of into) {
              expect(view).toBeInstanceOf(type);
              expect(view.length).toBe(lengths[i]);
              const wanted = element(i++);
              expect(view.every((value: unknown) => value === wanted)).toBe(true);
            }
            await sending;
            expect(i).toBe(lengths.length);
            here.destroy();
            there.destroy();
          }),
          { numRuns: 15 },
        );
      });
    }

    it('make their views once per place, and use them again', async () => {
      const [here, there] = await open();
      const out = frames(here, Float32Array, { ...options, checks: false });
      const into = frames(there, Float32Array, { ...options, checks: false });
      const written = new Set<unknown>();
      const read = new Set<unknown>();
      for (let i = 0; i < 100; i++) {
        expect(await out.writable(200)).toBe(true);
        const frame = out.reserve(200);
        written.add(frame?.view);
        frame?.view.fill(i);
        frame?.commit();
        await into.readable();
        const taken = into.take();
        read.add(taken?.view);
        expect(taken?.view[199]).toBe(i);
        taken?.release();
      }
      const places = Math.floor(16_384 / 808);
      expect([written.size, read.size]).toEqual([places, places]);
    });

    it('tell misuse by codes, and lose nothing', async () => {
      const [here, there] = await open();
      const out = frames(here, Float32Array, { ...options, checks: false });
      const into = frames(there, Float32Array, { ...options, checks: false });
      expect(await codeOf(() => out.reserve(out.maxLength + 1))).toBe('ERR_SMC_RECORD_TOO_LARGE');
      expect(await codeOf(() => out.writable(out.maxLength + 1))).toBe('ERR_SMC_RECORD_TOO_LARGE');
      for (const length of [-1, 0.5, Number.NaN]) expect(await codeOf(() => out.reserve(length))).toBe('ERR_SMC_FRAME_MISUSE');
      const frame = out.reserve(4);
      expect(await codeOf(() => out.reserve(4))).toBe('ERR_SMC_FRAME_MISUSE');
      expect(await codeOf(() => frame?.commit(5))).toBe('ERR_SMC_FRAME_MISUSE');
      frame?.view.set([1, 2, 3, 4]);
      frame?.commit();
      expect(await codeOf(() => frame?.commit())).toBe('ERR_SMC_FRAME_MISUSE');
      expect(await codeOf(() => frame?.view)).toBe('ERR_SMC_FRAME_MISUSE');
      out.reserve(4)?.abandon();
      {
        using _ = out.reserve(4);
      }
      out.reserve(1)?.commit();
      here.end();

      await into.readable();
      const taken = into.take();
      expect(Array.from(taken?.view ?? [])).toEqual([1, 2, 3, 4]);
      expect(await codeOf(() => into.take())).toBe('ERR_SMC_FRAME_MISUSE');
      expect(await codeOf(() => into.readable())).toBe('ERR_SMC_FRAME_MISUSE');
      taken?.release();
      expect(await codeOf(() => taken?.release())).toBe('ERR_SMC_FRAME_MISUSE');
      expect(await codeOf(() => taken?.view)).toBe('ERR_SMC_FRAME_MISUSE');
      const lengths: number[] = [];
      for await (const { view } of into) lengths.push(view.length);
      expect(lengths).toEqual([1]);
    });

    for (const checks of [false, true]) {
      it(`that were taken are given back by leaving a using block, checks ${checks ? 'on' : 'off'}`, async () => {
        const [here, there] = await open();
        const out = frames(here, Float32Array, { ...options, checks });
        const into = frames(there, Float32Array, { ...options, checks });
        for (let i = 0; i < 5; i++) {
          using frame = out.reserve(2);
          frame?.view.fill(i);
          frame?.commit();
          // Leaving it now abandons nothing: it was sent.
        }
        here.end();
        const next = async () => {
          await into.readable();
          return into.take();
        };
        let left: ReadableFrame<Float32Array> | undefined;
        let view: Float32Array | undefined;
        {
          using frame = await next();
          left = frame;
          view = frame?.view;
          expect(view?.[0]).toBe(0);
          expect(await codeOf(() => into.take())).toBe('ERR_SMC_FRAME_MISUSE');
        }
        // As after a release, which cannot be done once more; in development mode the view ends with it.
        expect(await codeOf(() => left?.view)).toBe('ERR_SMC_FRAME_MISUSE');
        expect(await codeOf(() => left?.release())).toBe('ERR_SMC_FRAME_MISUSE');
        if (checks) expect(view?.length).toBe(0);
        // What was released in the block is not released a second time, nor is the frame that is held by then.
        let held: ReadableFrame<Float32Array> | undefined;
        {
          using frame = await next();
          expect(frame?.view[0]).toBe(1);
          frame?.release();
          held = await next();
        }
        expect(held?.view[0]).toBe(2);
        held?.[Symbol.dispose]();
        held?.[Symbol.dispose]();
        expect(await codeOf(() => held?.view)).toBe('ERR_SMC_FRAME_MISUSE');
        // Nor does it matter how the block is left.
        const thrown = codeOf(async () => {
          using frame = await next();
          expect(frame?.view[0]).toBe(3);
          throw Object.assign(new Error('in the block'), { code: 'MINE' });
        });
        expect(await thrown).toBe('MINE');
        const rest: (number | undefined)[] = [];
        for await (const last of into) rest.push(last.view[0]);
        expect(rest).toEqual([4]);
      });
    }

    it('of another type are refused with a code and stay for who asks for theirs', async () => {
      const [here, there] = await open();
      const out = frames(here, Float64Array, options);
      out.reserve(3)?.commit();
      const wrong = frames(there, Int32Array, options);
      if (name === 'TCP') {
        // The bytes are in the memory of the first that read them.
        await wrong.readable();
        return expect(await codeOf(() => wrong.take())).toBe('ERR_SMC_FRAME_TYPE');
      }
      await wrong.readable();
      expect(await codeOf(() => wrong.take())).toBe('ERR_SMC_FRAME_TYPE');
      expect(frames(there, Float64Array, options).take()?.view.length).toBe(3);
    });

    it('end with an error when the connection does, after those that came before it', async () => {
      const [here, there] = await open();
      const out = frames(here, Int16Array, options);
      for (let i = 0; i < 3; i++) out.reserve(5)?.commit();
      await new Promise((resolve) => setTimeout(resolve, 20));
      (here as unknown as { resetAndDestroy(): void }).resetAndDestroy();
      let count = 0;
      const code = await codeOf(async () => {
        for await (const _ of frames(there, Int16Array, options)) count++;
      });
      // TCP throws away what was not read when a reset comes.
      if (name !== 'TCP') expect(count).toBe(3);
      expect(code).toBe('ECONNRESET');
      expect(await out.writable(1)).toBe(false);
      expect(out.reserve(1)).toBe(undefined);
    });

    it('in development mode: kept views are empty, misuse and leaks name the place', async () => {
      const [here, there] = await open();
      const development: FrameOptions = { ...options, checks: true };
      const out = frames(here, Float32Array, development);
      const into = frames(there, Float32Array, development);
      const frame = out.reserve(8);
      const writing = frame?.view;
      writing?.fill(3);
      frame?.commit();
      expect(writing?.length).toBe(0);
      await into.readable();
      const taken = into.take();
      const reading = taken?.view;
      expect(reading?.[7]).toBe(3);
      const message = await Promise.resolve()
        .then(() => into.take())
        .catch((error: Error) => error.message);
      expect(message).toContain('frames.test.ts');
      taken?.release();
      expect(reading?.length).toBe(0);
    });
  });
}
