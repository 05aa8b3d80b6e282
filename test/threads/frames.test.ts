// frames.test.ts - typed frames over worker channels, SMC-D and TCP: the same calls, the same numbers, the same errors.

import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { connect, createServer, probe, type TransportName } from '@smcjs/core';
import {
  createChannel,
  type FrameConnection,
  type FrameOptions,
  frames,
  openBlocking,
  type TypedArray,
  type TypedArrayConstructor,
} from '@smcjs/core/channel';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/events.js';
import { both, codeOf, withWorker } from './pair.js';

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

/** Two connected ends in this process. */
async function sockets(transport: TransportName): Promise<[FrameConnection, FrameConnection]> {
  const options = { transports: [transport], fallback: 'error' as const, ringSize: 16_384 };
  const server = createServer(options);
  const accepted = new Promise<FrameConnection>((resolve) =>
    server.once('connection', (socket) => {
      // Before the stream reads what comes first.
      (socket as FrameConnection).ring?.peek(0);
      resolve(socket as FrameConnection);
    }),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const client = connect({ ...options, port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => void client.once('connect', resolve).once('error', reject));
  const pair: [FrameConnection, FrameConnection] = [client, await accepted];
  server.close();
  for (const end of pair) {
    end.on('error', () => {});
    onTestFinished(() => void end.destroy());
  }
  return pair;
}

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

describe('typed frames', () => {
  it('come from a worker that blocks, and go to it', async () => {
    const { end } = withWorker('blockingFrames', {}, { allowHalfOpen: true, ringSize: 65_536 });
    const floats = frames(end, Float64Array);
    const sending = (async () => {
      for (let i = 0; i < 500; i++) {
        await floats.writable(i);
        const frame = floats.reserve(i);
        frame?.view.fill(i);
        frame?.commit();
      }
      end.end();
    })();
    let i = 0;
    for await (const { view } of floats) {
      expect(view.length).toBe(i);
      expect(view.every((value) => value === i + 1)).toBe(true);
      i++;
    }
    await sending;
    expect(i).toBe(500);
  });

  it('go over SMC-D, in place, across the end of its ring', async (context) => {
    if (!probe().usable.includes('smcd')) return context.skip('SMC-D cannot be used here');
    const server = createServer({ transports: ['smcd'], fallback: 'error', ringSize: 16_384 });
    const sums = new Promise<number[]>((resolve, reject) => {
      server.once('connection', async (socket) => {
        const seen: number[] = [];
        const views = new Set<unknown>();
        try {
          for await (const { view } of frames(socket, Float64Array, { checks: false })) {
            views.add(view);
            seen.push(view.reduce((sum, value) => sum + value, 0));
          }
          expect(views.size).toBe(Math.floor(16_384 / (300 * 8 + 8)));
          resolve(seen);
        } catch (error) {
          reject(error);
        }
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const worker = new Worker(new URL('../dist/threads/frames-client.js', import.meta.url), { workerData: port });
    onTestFinished(() => void worker.terminate());
    expect(await sums).toEqual(Array.from({ length: 500 }, (_, i) => i * 300));
    server.close();
  });

  it('of a worker that is terminated are never half', async () => {
    for (let round = 0; round < 4; round++) {
      const { end, worker } = withWorker('frames');
      setTimeout(() => void worker.terminate(), 60 + 11 * round);
      let next = 0;
      const code = await codeOf(async () => {
        for await (const { view } of frames(end, Float32Array)) {
          expect(view.length).toBe(1000);
          const wanted = next++;
          expect(view.every((value) => value === wanted)).toBe(true);
        }
      });
      expect(code).toBe('ECONNRESET');
    }
  });

  it('cannot start behind bytes or records that are no multiple of 8, in neither direction', async () => {
    const [here, there] = both();
    const out = frames(here, Uint8Array);
    here.ring.send([Buffer.of(1)]);
    here.ring.send([Buffer.of(1, 2, 3, 4, 5, 6, 7, 8)]);
    expect(await codeOf(() => out.reserve(1))).toBe('ERR_SMC_RING_MISUSE');
    const into = frames(there, Uint8Array);
    expect(await codeOf(() => into.take())).toBe('ERR_SMC_FRAME_TYPE');
    expect(there.ring.receive(() => {}, 2)).toBe(2);
    here.ring.send([Buffer.of(1, 2, 3, 4, 5, 6, 7, 8)]);
    expect(await codeOf(() => into.take())).toBe('ERR_SMC_RING_MISUSE');
  });

  it('notice what else was sent or received while they are lent', async () => {
    const [here, there] = both();
    const out = frames(here, Uint8Array, { checks: false });
    const into = frames(there, Uint8Array, { checks: false });
    const frame = out.reserve(4);
    here.ring.send([Buffer.of(1, 2, 3, 4)]);
    expect(await codeOf(() => frame?.commit())).toBe('ERR_SMC_FRAME_MISUSE');
    frame?.abandon();
    there.ring.receive(() => {});
    out.reserve(4)?.commit();
    const taken = into.take();
    there.ring.receive(() => {});
    expect(await codeOf(() => taken?.release())).toBe('ERR_SMC_FRAME_MISUSE');
  });

  it('that are dropped in development mode are given back, with a warning that names who took them', async () => {
    setFlagsFromString('--expose_gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const warnings: (Error & { code?: string })[] = [];
    const listener = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listener);
    const [here, there] = both();
    const out = frames(here, Uint8Array, { checks: true });
    const into = frames(there, Uint8Array, { checks: true });
    const drop = (): void => {
      out.reserve(10)?.commit();
      out.reserve(3);
      into.take();
    };
    drop();
    expect(await codeOf(() => into.take())).toBe('ERR_SMC_FRAME_MISUSE');
    while (warnings.length < 2) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    process.off('warning', listener);
    for (const { code, message } of warnings) {
      expect(code).toBe('SMC_FRAME_LEAK');
      expect(message).toContain('frames.test.ts');
    }
    out.reserve(1)?.commit();
    expect(into.take()?.view.length).toBe(1);
  });

  it('are of typed arrays, over what is connected', async () => {
    const [here] = both();
    expect(await codeOf(() => frames(here, DataView as never))).toBe('ERR_SMC_INVALID_OPTION');
    expect(
      await codeOf(() =>
        frames(
          connect(1, '127.0.0.1').on('error', () => {}),
          Int8Array,
        ),
      ),
    ).toBe('ERR_SMC_INVALID_OPTION');
    const [client] = await sockets('tcp');
    for (const ringSize of [0, 100, 2 ** 31]) {
      expect(await codeOf(() => frames(client, Int8Array, { ringSize }))).toBe('ERR_SMC_INVALID_OPTION');
    }
  });

  it('with a length or size that cannot be end the connection with ERR_SMC_PEER_VIOLATION', async () => {
    for (const [word, value] of [
      [128, -2],
      [128, 1 << 20],
      [128, 0x7fff_fff4],
      [128, 4 + 3],
      [129, (0x5346 << 16) | (9 << 8) | 8],
      [129, (0x5346 << 16) | (1 << 8) | 8],
    ] as const) {
      const { port1, port2 } = createChannel({ ringSize: 16_384 });
      const writing = openBlocking(port1);
      const reading = openBlocking(port2);
      frames(writing, Float32Array).reserve(4)?.commit();
      new Int32Array(port2.rx)[word] = value;
      expect(await codeOf(() => frames(reading, Float32Array).take())).toBe('ERR_SMC_PEER_VIOLATION');
      expect(reading.closed).toBe(true);
    }
  });

  it('that are cut off by the end of a TCP connection are an error, not a short frame', async () => {
    const [here, there] = await sockets('tcp');
    const whole = Buffer.alloc(8 + 16);
    new Int32Array(whole.buffer, whole.byteOffset, 2).set([20, (0x5346 << 16) | 8]);
    here.write(whole);
    here.end(whole.subarray(0, 15));
    const lengths: number[] = [];
    const code = await codeOf(async () => {
      for await (const { view } of frames(there, Float32Array)) lengths.push(view.length);
    });
    expect({ lengths, code }).toEqual({ lengths: [4], code: 'ECONNRESET' });
  });

  it('from a TCP peer that sends something else are errors with codes', async () => {
    for (const [body, tag, code] of [
      [20, 0x4654 << 16, 'ERR_SMC_FRAME_TYPE'],
      [21, 0x5346 << 16, 'ERR_SMC_PEER_VIOLATION'],
      [-4, 0x5346 << 16, 'ERR_SMC_PEER_VIOLATION'],
      [1 << 20, 0x5346 << 16, 'ERR_SMC_PEER_VIOLATION'],
      [(1 << 20) + 4, 0x5346 << 16, 'ERR_SMC_RECORD_TOO_LARGE'],
    ] as const) {
      const [here, there] = await sockets('tcp');
      here.write(new Uint8Array(Int32Array.of(body, tag).buffer));
      expect(
        await codeOf(async () => {
          for await (const _ of frames(there, Float32Array));
        }),
      ).toBe(code);
      await until(() => there.destroyed);
    }
  });
});
