// exclusive.test.ts - threads that own their rings and never sleep: nobody has to wake them, one or many rings.

import { Worker } from 'node:worker_threads';
import { createChannel, openBlocking, RingPoller } from '@smcjs/core/channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import { usableCores } from '../../packages/core/dist/cores.js';
import { event, until } from '../support/events.js';
import { codeOf, opened, start } from './pair.js';
import type { Order } from './partner.js';
import { recordOf } from './partner.js';

const one = usableCores() === 1;

describe('an exclusive end', () => {
  it('answers after any silence without ever having been woken', async (context) => {
    if (one) context.skip('one processor is usable: ends sleep whatever was asked for');
    const { port1, port2 } = createChannel();
    const end = opened(port1, { busyPoll: 'off' });
    const worker = start(port2, 'exclusive');
    expect((await event(worker, 'message'))[0]).toBe(true);
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      end.ring.send([recordOf(3, i)]);
      await end.ring.readable();
      let answer: Buffer | undefined;
      end.ring.receive((bytes, offset, length) => {
        answer = Buffer.from(bytes.subarray(offset, offset + length));
      });
      expect(answer?.equals(recordOf(3, i))).toBe(true);
    }
    // As many as there are wake-ups for an end that sleeps; `off` sleeps each time.
    expect(end.stats()).toMatchObject({ doorbells: 0 });
    end.end();
    await event(end, 'close');
  });

  it('sees timeouts, ends and resets as any blocking end', async () => {
    const { port1, port2 } = createChannel({ ringSize: 16_384 });
    const here = openBlocking(port1, { exclusive: true });
    const there = openBlocking(port2);
    expect(here.readable(0)).toBe(false);
    expect(here.readable(20)).toBe(false);
    expect(here.write(Buffer.alloc(20_000))).toBe(16_384);
    expect(here.writable(1, 20)).toBe(false);
    there.write(Buffer.of(1));
    expect(here.readable()).toBe(true);
    here.release(1);
    there.close();
    expect(await codeOf(() => here.readable())).toBe('ECONNRESET');
    expect(await codeOf(() => openBlocking(createChannel().port1, { exclusive: 1 as unknown as boolean }))).toBe('ERR_SMC_INVALID_OPTION');
  });

  it('learns that the thread of its peer was terminated', async () => {
    const { port1, port2 } = createChannel();
    const worker = start(port2, 'idle', { seed: 1 });
    await event(worker, 'message');
    const end = openBlocking(port1, { exclusive: true });
    expect(end.readable()).toBe(true);
    end.release(end.peek()?.length ?? 0);
    await worker.terminate();
    expect(await codeOf(() => end.readable())).toBe('ECONNRESET');
  });
});

describe('a thread that polls many rings', () => {
  it('loses and duplicates nothing, takes turns, and says how each ended', async () => {
    const channels = Array.from({ length: 4 }, () => createChannel({ ringSize: 16_384 }));
    const [first, ...rest] = channels.map(({ port2 }) => port2);
    const file = new URL('../dist/threads/partner.js', import.meta.url);
    const order = { role: 'poller', port: first, ports: rest } as Order;
    const poller = new Worker(file, { workerData: order, transferList: channels.map(({ port2 }) => port2.bell) });
    onTestFinished(() => void poller.terminate());
    const said = event(poller, 'message');
    const senders = channels.map(({ port1 }, seed) => start(port1, 'sender', seed === 3 ? { seed } : { seed, count: 3000 }));
    await Promise.all(senders.slice(0, 3).map((sender) => event(sender, 'exit')));
    await (senders[3] as Worker).terminate();
    const [{ counts, most, left, timedOut }] = (await said) as [
      { counts: { received: number; wrong: number; end: string }[]; most: number; left: number; timedOut: unknown },
    ];
    for (const count of counts.slice(0, 3)) expect(count).toEqual({ received: 3000, wrong: 0, end: 'end' });
    expect(counts[3]).toMatchObject({ wrong: 0, end: 'ECONNRESET' });
    expect([most, left, timedOut]).toEqual([16, 0, undefined]);
  });

  it('gives ends in turn, each once when it is over, and none when the time is over', async () => {
    const channels = [createChannel(), createChannel(), createChannel()];
    const ends = channels.map(({ port1 }) => openBlocking(port1, { exclusive: true }));
    const others = channels.map(({ port2 }) => openBlocking(port2));
    const poller = new RingPoller(ends);
    expect(await codeOf(() => poller.add(ends[0] as never))).toBe('ERR_SMC_RING_MISUSE');
    expect([poller.next(0), poller.next(10), poller.size]).toEqual([undefined, undefined, 3]);
    others[0]?.write(Buffer.of(1));
    others[2]?.write(Buffer.of(2));
    // What is left unread comes again, but not before the others had their turn.
    const turns = [0, 1, 2, 3].map(() => ends.indexOf(poller.next() as never));
    expect([[0, 2, 0, 2].join(), [2, 0, 2, 0].join()]).toContain(turns.join());
    ends[0]?.release(1);
    others[2]?.end();
    expect([poller.next(), poller.next()]).toEqual([ends[2], ends[2]]);
    ends[2]?.release(1);
    expect([poller.next(), poller.size, poller.next(0)]).toEqual([ends[2], 2, undefined]);
    poller.remove(ends[1] as never).remove(ends[1] as never);
    new Int32Array(channels[0]?.port1.rx as SharedArrayBuffer)[32] = 0x7fff_0000;
    others[0]?.end();
    const violated = poller.next();
    expect(violated).toBe(ends[0]);
    expect(await codeOf(() => violated?.peek())).toBe('ERR_SMC_PEER_VIOLATION');
    expect(poller.next()).toBe(undefined);
    await until(() => poller.size === 0);
  });
});
