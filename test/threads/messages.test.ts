// messages.test.ts - records over worker channels: batches, back pressure, many to one, and death in the middle.

import { batches, type ChannelEnd, createChannel, FanIn, frames, open, sendAll } from '@smcjs/core/channel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { event, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { both, codeOf, opened, start, withWorker } from './pair.js';
import { recordOf } from './partner.js';

/** Checks that records of a sender come whole and in order. */
class Sequence {
  readonly #next = new Map<number, number>();
  total = 0;

  take(record: Uint8Array): void {
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const seed = view.getUint32(0, true);
    const index = view.getUint32(4, true);
    expect(index).toBe(this.#next.get(seed) ?? 0);
    this.#next.set(seed, index + 1);
    if (recordOf(seed, index).compare(record) !== 0) throw new Error(`record ${index} of ${seed} is damaged`);
    this.total++;
  }

  of(seed: number): number {
    return this.#next.get(seed) ?? 0;
  }
}

describe('records over a worker channel', () => {
  it('are a queue of messages: batches of any sizes come back whole and in order', async () => {
    const lengths = fc.array(fc.array(fc.oneof(fc.nat(64), fc.nat(8188)), { maxLength: 12 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lengths, async (sent) => {
        const { end, worker } = withWorker('records', {}, { allowHalfOpen: true });
        const records = sent.map((batch, i) => batch.map((length, k) => payload(100 * i + k, length)));
        const sending = (async () => {
          for (const batch of records) await sendAll(end, batch);
          end.end();
        })();
        const received: Uint8Array[] = [];
        for await (const batch of batches(end, 7)) {
          expect(batch.length).toBeLessThanOrEqual(7);
          received.push(...batch);
        }
        await sending;
        const flat = records.flat();
        expect(received.length).toBe(flat.length);
        for (const [i, record] of flat.entries()) expect(record.equals(received[i] as Uint8Array)).toBe(true);
        await worker.terminate();
      }),
      { numRuns: 8 },
    );
  });

  it('are dropped or waited for, whole, as the sender chooses', async () => {
    const [here, there] = both();
    const large = Buffer.alloc(here.ring.maxRecord, 1);
    const taken = [1, 2, 3].map(() => here.ring.send([large]));
    expect(taken).toEqual([1, 1, 0]);
    const waited = sendAll(here, [large]);
    let count = 0;
    for await (const batch of batches(there)) {
      for (const record of batch) expect(record.length).toBe(large.length);
      count += batch.length;
      if (count === 2) await waited;
      if (count === 3) break;
    }
    expect(count).toBe(3);
  });

  it('above the limit are an error with a code, and those before are sent', async () => {
    const [here, there] = both();
    const records = [Buffer.of(1), Buffer.alloc(here.ring.maxRecord + 1), Buffer.of(2)];
    expect(await codeOf(() => sendAll(here, records))).toBe('ERR_SMC_RECORD_TOO_LARGE');
    await sendAll(here, [Buffer.of(3)]);
    here.end();
    const got: number[] = [];
    for await (const batch of batches(there)) for (const record of batch) got.push(record[0] as number);
    expect(got).toEqual([1, 3]);
  });

  it('cannot be read where bytes were sent: an error, not a wait without end', async () => {
    for (const bytes of ['a', 'abcdefg']) {
      const [here, there] = both();
      here.write(bytes);
      expect(
        await codeOf(async () => {
          for await (const _ of batches(there));
        }),
      ).toBe('ERR_SMC_PEER_VIOLATION');
    }
  });

  it('stay in the ring when the loop is left', async () => {
    const [here, there] = both();
    await sendAll(
      here,
      [1, 2, 3].map((value) => Buffer.of(value)),
    );
    const got: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      for await (const batch of batches(there, 1)) {
        got.push(batch[0]?.[0]);
        break;
      }
    }
    expect(got).toEqual([1, 2, 3]);
    expect(there.destroyed).toBe(false);
  });

  it('cannot be sent to an end that is gone', async () => {
    const [here, there] = both();
    there.destroy();
    await until(() => here.destroyed || here.readableEnded || here.ring.reserve(1) === undefined);
    expect(['EPIPE', 'ECONNRESET']).toContain(await codeOf(() => sendAll(here, [Buffer.of(1)])));
  });

  it('that end by an error throw it where they are iterated, and nobody has to listen to the event as well', async () => {
    for (const receive of [batches, (end: ChannelEnd) => frames(end, Uint8Array)]) {
      const { port1, port2 } = createChannel();
      const [here, there] = [open(port1), open(port2)];
      here.resetAndDestroy();
      expect(
        await codeOf(async () => {
          for await (const _ of receive(there));
        }),
      ).toBe('ECONNRESET');
      // An 'error' nobody hears is an uncaught exception, which fails the run.
      if (!there.closed) await event(there, 'close');
    }
  });

  for (const role of ['sender', 'blockingSender'] as const) {
    it(`are never half: a ${role} terminated in the middle leaves whole ones, then ECONNRESET`, async () => {
      for (let round = 0; round < 5; round++) {
        const { end, worker } = withWorker(role, { seed: 9 });
        const sequence = new Sequence();
        setTimeout(() => void worker.terminate(), 60 + 7 * round);
        const code = await codeOf(async () => {
          for await (const batch of batches(end)) for (const record of batch) sequence.take(record);
        });
        expect(code).toBe('ECONNRESET');
      }
    });
  }
});

describe('a fan-in', () => {
  it('receives every record of every sender once, in its order', async () => {
    const senders = 4;
    const count = 3000;
    const ends = Array.from({ length: senders }, (_, seed) => withWorker(seed % 2 ? 'sender' : 'blockingSender', { seed, count }).end);
    const ended: [ChannelEnd, Error | null][] = [];
    const fanIn = new FanIn(ends);
    fanIn.onend = (end, error) => ended.push([end, error]);
    const sequence = new Sequence();
    for await (const { end, records } of fanIn) {
      expect(ends).toContain(end);
      for (const record of records) sequence.take(record);
    }
    expect(sequence.total).toBe(senders * count);
    expect(ended.map(([, error]) => error)).toEqual([null, null, null, null]);
    expect(fanIn.size).toBe(0);
  });

  it('takes turns: a sender that never stops does not starve the others', async () => {
    const [flood, floodThere] = both(1024 * 1024);
    const [trickle, trickleThere] = both();
    const many = Array.from({ length: 5000 }, () => Buffer.alloc(8, 1));
    flood.ring.send(many);
    trickle.ring.send([Buffer.of(2)]);
    const fanIn = new FanIn([floodThere, trickleThere]);
    await fanIn.readable();
    const order: number[] = [];
    fanIn.receive((bytes, offset) => order.push(bytes[offset] as number), 200);
    expect(order.length).toBe(200);
    expect(order.indexOf(2)).toBe(64);
    let rest = 0;
    while (rest < 4801) rest += fanIn.receive(() => {});
    expect(rest).toBe(4801);
    fanIn.close();
  });

  it('any interleaving of any sizes through it is each sender’s queue, whatever limits are used', async () => {
    const plans = fc.array(
      fc.record({ by: fc.nat(2), lengths: fc.array(fc.nat(600), { maxLength: 30 }), limit: fc.integer({ min: 1, max: 90 }) }),
      {
        maxLength: 20,
      },
    );
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const pairs = [both(), both(), both()];
        const fanIn = new FanIn(pairs.map(([, there]) => there));
        const queues = pairs.map(() => [] as Buffer[]);
        let received = 0;
        let sent = 0;
        const take = (bytes: Uint8Array, offset: number, length: number, end: ChannelEnd): void => {
          const expected = queues[pairs.findIndex(([, there]) => there === end)]?.shift();
          expect(expected?.equals(bytes.subarray(offset, offset + length))).toBe(true);
          received++;
        };
        for (const { by, lengths, limit } of plan) {
          const [here] = pairs[by] as [ChannelEnd, ChannelEnd];
          const records = lengths.map((length) => payload(sent + length, length));
          const taken = here.ring.send(records);
          queues[by]?.push(...records.slice(0, taken));
          sent += taken;
          if (limit % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
          fanIn.receive(take, limit);
        }
        for (const [here] of pairs) here.end();
        while (await fanIn.readable()) fanIn.receive(take);
        expect(received).toBe(sent);
      }),
      { numRuns: 30 },
    );
  });

  it('reports a sender that was terminated, keeps the others, and hands out no half record', async () => {
    const dying = withWorker('sender', { seed: 1 });
    const lasting = withWorker('sender', { seed: 2, count: 2000 });
    const fanIn = new FanIn([dying.end, lasting.end]);
    const ended: unknown[] = [];
    fanIn.onend = (end, error) => ended.push([end === dying.end, (error as NodeJS.ErrnoException | null)?.code]);
    const sequence = new Sequence();
    void event(dying.worker, 'online').then(() => setTimeout(() => void dying.worker.terminate(), 100));
    for await (const { records } of fanIn) for (const record of records) sequence.take(record);
    expect(sequence.of(2)).toBe(2000);
    expect(ended).toContainEqual([true, 'ECONNRESET']);
    expect(ended).toContainEqual([false, undefined]);
  });

  it('lets a connection go, with what it has not handed out', async () => {
    const { port1, port2 } = createChannel();
    start(port2, 'sender', { seed: 3, count: 100 });
    const end = opened(port1);
    const fanIn = new FanIn([end]);
    await fanIn.readable();
    const sequence = new Sequence();
    while (sequence.total === 0) {
      fanIn.receive((bytes, offset, length) => sequence.take(bytes.subarray(offset, offset + length)), 1);
      if (sequence.total === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    fanIn.remove(end);
    expect(await fanIn.readable()).toBe(false);
    for await (const batch of batches(end)) for (const record of batch) sequence.take(record);
    expect(sequence.total).toBe(100);
  });
});
