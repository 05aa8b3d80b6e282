// blocking.test.ts - the end of a worker channel for threads that compute: it waits, with a limit or without.

import { createChannel, openBlocking } from '@smcjs/core/channel';
import { describe, expect, it } from 'vitest';
import { event, until } from '../support/events.js';
import { codeOf, opened, start, withWorker } from './pair.js';

describe('a blocking end', () => {
  it('waits as long as it is told, and is woken by bytes, also when neither side polls', async () => {
    for (const busyPoll of ['auto', 'off'] as const) {
      const { port1, port2 } = createChannel();
      const end = opened(port1, { busyPoll });
      const said: unknown[] = [];
      const worker = start(port2, 'patient');
      worker.on('message', (message) => said.push(message));
      await until(() => said.length === 1);
      end.ring.write(Buffer.of(77));
      await until(() => said.length === 2);
      end.end();
      await until(() => said.length === 3);
      expect(said).toEqual([
        { timedOut: false, ended: false },
        { readable: true, byte: 77 },
        { readable: false, ended: true },
      ]);
    }
  });

  it('throws ECONNRESET when the peer has reset', async () => {
    const { end, worker } = withWorker('patient');
    const said: unknown[] = [];
    worker.on('message', (message) => said.push(message));
    await until(() => said.length === 1);
    end.ring.write(Buffer.of(77));
    await until(() => said.length === 2);
    end.resetAndDestroy();
    await until(() => said.length === 3);
    expect(said[2]).toEqual({ code: 'ECONNRESET' });
  });

  for (const role of ['sender', 'blockingSender'] as const) {
    it(`takes the records of a ${role} in another worker, and throws ECONNRESET when that is terminated`, async () => {
      for (const count of [5000, undefined]) {
        const { port1, port2 } = createChannel();
        const drain = start(port2, 'drain', { seed: 8 });
        const said = event(drain, 'message');
        const sender = start(port1, role, { seed: 8, ...(count === undefined ? {} : { count }) });
        if (count === undefined) void event(sender, 'online').then(() => setTimeout(() => void sender.terminate(), 100));
        const [{ received, wrong, code }] = (await said) as [{ received: number; wrong: number; code?: string }];
        expect({ wrong, code }).toEqual({ wrong: 0, code: count === undefined ? 'ECONNRESET' : undefined });
        if (count !== undefined) expect(received).toBe(count);
      }
    });
  }

  it('may wait in the main thread, for room as well as for bytes, and says which side is over', async () => {
    const { port1, port2 } = createChannel({ ringSize: 16_384 });
    const here = openBlocking(port1);
    const there = openBlocking(port2);
    expect(here.readable(0)).toBe(false);
    expect(here.writable(16_384, 0)).toBe(true);
    expect(here.write(Buffer.alloc(20_000, 1))).toBe(16_384);
    expect(here.writable(1, 5)).toBe(false);
    expect(here.reserve(1)).toBe(undefined);
    expect(there.peek()?.length).toBe(16_384);
    there.release(16_384);
    expect(here.writable(16_384, 5)).toBe(true);
    here.end();
    expect(here.writable(1, 5)).toBe(false);
    expect([there.readable(), there.ended]).toEqual([false, true]);
    there.close();
    expect([here.readable(), here.ended, here.closed]).toEqual([false, true, false]);
    here.close();
    expect([here.closed, here.readable(0), here.peek(), here.send([Buffer.of(1)])]).toEqual([true, false, undefined, 0]);
    expect(here.stats()).toMatchObject({ bytesWritten: 16_384, bytesRead: 0 });
  });

  it('closed with unread bytes is a reset, as a socket would be', async () => {
    const { port1, port2 } = createChannel();
    const here = openBlocking(port1);
    const there = openBlocking(port2);
    here.write(Buffer.of(1));
    there.close();
    expect(await codeOf(() => here.readable())).toBe('ECONNRESET');
  });

  it('tells misuse by codes, and goes on', async () => {
    const { port1, port2 } = createChannel({ ringSize: 16_384 });
    const here = openBlocking(port1);
    const there = openBlocking(port2);
    expect(await codeOf(() => here.writable(16_385))).toBe('ERR_SMC_RING_MISUSE');
    expect(await codeOf(() => here.release(1))).toBe('ERR_SMC_RING_MISUSE');
    here.reserve(4);
    expect(await codeOf(() => here.commit(5))).toBe('ERR_SMC_RING_MISUSE');
    expect(await codeOf(() => here.send([Buffer.of(1), Buffer.alloc(here.maxRecord + 1)]))).toBe('ERR_SMC_RECORD_TOO_LARGE');
    const got: number[] = [];
    there.receive((bytes, offset, length) => got.push(...bytes.subarray(offset, offset + length)));
    expect(got).toEqual([1]);
    new Int32Array(port2.rx)[32] = 0x7fff_0000;
    expect(await codeOf(() => there.readable())).toBe('ERR_SMC_PEER_VIOLATION');
    expect(there.closed).toBe(true);
  });

  it('is terminated while it waits', async () => {
    const { worker } = withWorker('blocking');
    await event(worker, 'online');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await worker.terminate()).toBe(1);
  });
});
