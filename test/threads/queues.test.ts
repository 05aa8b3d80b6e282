// queues.test.ts - what goes through blocking ends is a queue, whoever takes turns how; what a thread has begun and not sent when it
// is terminated was never there; and one port is never two ends, in two threads either.

import { batches, type BlockingEnd, createChannel, frames, openBlocking } from '@smcjs/core/channel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { event } from '../support/events.js';
import { payload } from '../support/random.js';
import { codeOf, opened, start, withWorker } from './pair.js';

/** Both ends in this thread; nothing here waits. */
function blockingPair(ringSize = 16_384): [BlockingEnd, BlockingEnd] {
  const { port1, port2 } = createChannel({ ringSize });
  return [openBlocking(port1), openBlocking(port2)];
}

const plans = fc.array(
  fc.record({
    send: fc.array(fc.oneof(fc.nat(100), fc.nat(8188)), { maxLength: 6 }),
    take: fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: 9 })),
    both: fc.boolean(),
  }),
  { maxLength: 40 },
);

describe('blocking ends', () => {
  it('are queues of records in both directions, whatever the lengths, batches and limits', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const [here, there] = blockingPair();
        const ways = [
          { out: here, into: there, queue: [] as Buffer[] },
          { out: there, into: here, queue: [] as Buffer[] },
        ];
        let seed = 0;
        const receive = ({ into, queue }: (typeof ways)[number], limit?: number): number =>
          into.receive((bytes, offset, length) => {
            const expected = queue.shift();
            if (expected?.compare(bytes, offset, offset + length) !== 0) throw new Error(`a record of ${length} bytes is not the next`);
          }, limit);
        for (const { send, take, both } of plan) {
          for (const way of both ? ways : ways.slice(0, 1)) {
            const records = send.map((length) => payload(seed++, length));
            const taken = way.out.send(records);
            way.queue.push(...records.slice(0, taken));
            // What was not taken did not fit.
            const next = records[taken];
            if (next !== undefined) expect(way.out.writable(way.out.roomFor(next.length), 0)).toBe(false);
            receive(way, take);
          }
        }
        for (const way of ways) {
          way.out.end();
          while (receive(way) > 0);
          expect(way.queue.length).toBe(0);
          expect(way.into.ended).toBe(true);
        }
        here.close();
        there.close();
      }),
      { numRuns: 60 },
    );
  });

  it('are queues of frames, whatever the lengths and turns', () => {
    fc.assert(
      fc.property(plans, fc.constantFrom(16_384, 65_536, 4 << 20), (plan, ringSize) => {
        const [here, there] = blockingPair(ringSize);
        const out = frames(here, Float64Array, { checks: false });
        const into = frames(there, Float64Array, { checks: false });
        const scale = ringSize / 16_384;
        const queue: [number, number][] = [];
        let number = 0;
        const take = (limit = Number.POSITIVE_INFINITY): void => {
          for (let i = 0; i < limit; i++) {
            const frame = into.take();
            if (frame === undefined) return;
            const [first, length] = queue.shift() ?? [-1, -1];
            expect(frame.view.length).toBe(length);
            if (length > 0) expect([frame.view[0], frame.view.at(-1)]).toEqual([first, first + length - 1]);
            frame.release();
          }
        };
        for (const { send, take: limit } of plan) {
          for (const bytes of send) {
            const length = Math.min(out.maxLength, Math.floor((bytes * scale) / 8));
            const frame = out.reserve(length);
            if (frame === undefined) {
              expect(out.writable(length, 0)).toBe(false);
              break;
            }
            for (let i = 0; i < length; i += Math.max(1, length - 1)) frame.view[i] = number + i;
            frame.commit();
            queue.push([number++, length]);
          }
          take(limit);
        }
        take();
        expect(queue.length).toBe(0);
        here.close();
        there.close();
      }),
      { numRuns: 60 },
    );
  });
});

describe('a thread that is terminated', () => {
  for (const role of ['half', 'blockingHalf'] as const) {
    it(`in the middle of a record (${role}) leaves those before it, and nothing of that one`, async () => {
      const { end, worker } = withWorker(role);
      await event(worker, 'message');
      await worker.terminate();
      const lengths: number[] = [];
      const code = await codeOf(async () => {
        for await (const batch of batches(end)) lengths.push(...batch.map(({ length }) => length));
      });
      expect({ lengths, code }).toEqual({ lengths: [10, 20, 30], code: 'ECONNRESET' });
    });
  }

  it('in the middle of a frame leaves those before it', async () => {
    const { end, worker } = withWorker('halfFrame');
    await event(worker, 'message');
    await worker.terminate();
    const lengths: number[] = [];
    const code = await codeOf(async () => {
      for await (const { view } of frames(end, Float64Array)) lengths.push(view.length);
    });
    expect({ lengths, code }).toEqual({ lengths: [1, 2, 3], code: 'ECONNRESET' });
  });
});

describe('one port', () => {
  it('is not opened in two threads: the second gets a code, and the first goes on', async () => {
    const { port1, port2 } = createChannel();
    const here = opened(port1);
    const spare = createChannel().port1;
    const worker = start({ ...port1, bell: spare.bell }, 'claims');
    expect(await event(worker, 'message')).toEqual(['ERR_SMC_PORT_IN_USE']);
    here.end('still here');
    const there = openBlocking(port2);
    expect(there.readable()).toBe(true);
    expect(String(Buffer.from(there.peek() ?? []))).toBe('still here');
    there.close();
  });
});
