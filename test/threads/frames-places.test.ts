// frames-places.test.ts - typed frames where they come from and go to: workers, SMC-D, peers that send what cannot be, garbage.

import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { connect, createServer, probe } from '@smcjs/core';
import { createChannel, frames, openBlocking } from '@smcjs/core/channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/events.js';
import { both, codeOf, withWorker } from './pair.js';
import { sockets } from './sockets.js';

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
      expect(message).toContain('frames-places.test.ts');
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

  it('that would go over the end of the ring end it, too: a writer puts a filler there', async () => {
    const { port1, port2 } = createChannel({ ringSize: 16_384 });
    const [writing, reading] = [openBlocking(port1), openBlocking(port2)];
    const [out, into] = [frames(writing, Float32Array), frames(reading, Float32Array)];
    for (const bytes of [8192, 8128]) {
      out.reserve((bytes - 8) / 4)?.commit();
      into.take()?.release();
    }
    // 64 bytes before the end, and behind the end once more.
    for (const length of [4, 100]) out.reserve(length)?.commit();
    new Int32Array(port2.rx)[128 + (16_384 - 64) / 4] = 4 + 200;
    expect(await codeOf(() => into.take())).toBe('ERR_SMC_PEER_VIOLATION');
    expect(reading.closed).toBe(true);
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
