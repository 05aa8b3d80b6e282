// named.test.ts - two processes that share nothing but a name: bytes, records and frames, and every way to come and go.

import { batches, FanIn, frames, sendAll } from '@smcjs/core/channel';
import { attachNamed, createNamed } from '@smcjs/core/named';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, take, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { codeOf } from '../threads/pair.js';
import { recordOf } from '../threads/partner.js';
import { freshName, kept, killed, mappings, options, ownMappings, partnerWith, started, withPartner } from './processes.js';

describe('a named segment', options as object, () => {
  for (const role of ['creator', 'attacher'] as const) {
    it(`gives the ${role} back every byte that the other process echoes, many times the ring`, async () => {
      const { end, name } = await withPartner('echo', role);
      expect(end.role).toBe(role);
      const bytes = payload(1, 3_000_017);
      const echoed = collect(end);
      end.end(bytes);
      expect((await echoed).equals(bytes)).toBe(true);
      await event(end, 'close');
      expect(end.stats()).toMatchObject({ transport: 'memory', bytesRead: bytes.length, bytesWritten: bytes.length, doorbells: 0 });
      await until(() => mappings(name) === undefined);
    });

    it(`takes frames of the ${role} and gives them back, in place`, async () => {
      const { end } = await withPartner('frames', role);
      const floats = frames(end, Float32Array);
      for (let i = 0; i < 200; i++) {
        await floats.writable(1000);
        const frame = floats.reserve(1000);
        frame?.view.fill(i);
        frame?.commit();
        await floats.readable();
        using answer = floats.take();
        expect([answer?.view[0], answer?.view[999], answer?.view.length]).toEqual([i + 1, i + 1, 1000]);
      }
    });
  }

  it('is a queue of messages: batches of any sizes come back whole and in order', async () => {
    const lengths = fc.array(fc.array(fc.oneof(fc.nat(64), fc.nat(8188)), { maxLength: 12 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lengths, async (sent) => {
        const { end } = await withPartner('records');
        const records = sent.map((batch, i) => batch.map((length, k) => payload(100 * i + k, length)));
        const sending = (async () => {
          for (const batch of records) await sendAll(end, batch);
          end.end();
        })();
        const received: Uint8Array[] = [];
        for await (const batch of batches(end)) received.push(...batch);
        await sending;
        expect(received.length).toBe(records.flat().length);
        for (const [i, record] of records.flat().entries()) expect(record.equals(received[i] as Uint8Array)).toBe(true);
      }),
      { numRuns: 5 },
    );
  });

  it('is one of many that records come from, by turns', async () => {
    const ends = [(await withPartner('records')).end, (await withPartner('records', 'attacher')).end];
    const sending = ends.map(async (end, seed) => {
      for (let i = 0; i < 300; i++) await sendAll(end, [recordOf(seed, i)]);
      end.end();
    });
    const counts = ends.map(() => 0);
    for await (const { end, records } of new FanIn(ends)) {
      const seed = ends.indexOf(end);
      for (const bytes of records) expect(recordOf(seed, (counts[seed] as number)++).equals(bytes)).toBe(true);
    }
    await Promise.all(sending);
    expect(counts).toEqual([300, 300]);
  });

  it('keeps what is written before anybody attaches, and tells the creator who has', async () => {
    const name = freshName();
    const end = kept(createNamed(name, { allowHalfOpen: true }));
    const attached = event(end, 'attach');
    end.write('early');
    expect([end.peerPid, mappings(name)]).toEqual([undefined, 1]);
    const child = await partnerWith(name, 'attach', 'echo');
    await attached;
    expect(end.peerPid).toBe(child.pid);
    expect(String(await take(end, 5))).toBe('early');
  });

  it('delivers after a long silence as well, whatever the polling', async () => {
    for (const polling of [{ busyPoll: 'off' }, { busyPoll: 'auto' }, { busyPoll: 300, pollInterval: 200 }] as const) {
      const { end } = await withPartner('echo', 'creator', polling);
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        end.write(Buffer.of(i));
        expect(await take(end, 1)).toEqual(Buffer.of(i));
      }
    }
  });

  it('reads while it is unref and never stops writing', async () => {
    const { end } = await withPartner('echo');
    end.unref();
    const writing = setInterval(() => end.write('x'), 1);
    try {
      expect((await take(end, 20)).length).toBe(20);
    } finally {
      clearInterval(writing);
    }
  });

  it('goes on when a listener throws, for this end and for others', async () => {
    const [first, second] = [await withPartner('echo'), await withPartner('echo')];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown: unknown[] = [];
    process.on('uncaughtException', (error) => thrown.push(error));
    try {
      first.end.once('data', () => {
        throw new Error('of a listener');
      });
      first.end.write('a');
      second.end.write('b');
      expect(String(await take(second.end, 1))).toBe('b');
      await until(() => thrown.length === 1);
      first.end.write('c');
      expect(String(await take(first.end, 1))).toBe('c');
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });
});

describe('the ends of a named segment', options as object, () => {
  it('end together when both have ended, and the memory goes with the second', async () => {
    const { end, name, child } = await withPartner('ends', 'attacher', { allowHalfOpen: false });
    const said = event(child, 'message');
    const seen = record(end);
    end.resume().end('last words');
    expect((await said)[0]).toBe('ended');
    await until(() => seen.includes('close'));
    await until(() => mappings(name) === undefined);
    expect(seen).toEqual(['finish', 'end', 'close']);
  });

  for (const role of ['creator', 'attacher'] as const) {
    it(`tell the ${role} that its peer was killed: whole records, then ECONNRESET, and nothing left behind`, async () => {
      const { end, name, child } = await withPartner('sender', role);
      const failed = errorOf(end);
      let index = 0;
      end.ring.onreadable = () => {
        end.ring.receive((bytes, offset, length) => {
          const wanted = recordOf(1, index++);
          if (!wanted.equals(bytes.subarray(offset, offset + length))) throw new Error(`record ${index} is damaged`);
        });
      };
      await until(() => index > 1000);
      await killed(child);
      expect((await failed).code).toBe('ECONNRESET');
      await until(() => mappings(name) === undefined);
    });
  }

  it("is 'end' for who leaves by process.exit(), which prints nothing of its own", async () => {
    for (const role of ['creator', 'attacher'] as const) {
      const { end, name, child } = await withPartner('exits', role);
      let printed = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
      const gone = event(child, 'exit');
      const all = await collect(end);
      expect(all.equals(payload(1, 1000))).toBe(true);
      expect((await gone)[0]).toBe(0);
      expect(printed).toBe('');
      end.destroy();
      await until(() => mappings(name) === undefined);
    }
  });

  it("is 'end' for who closes and leaves at once, whatever it does with its views then", async () => {
    const name = freshName();
    const end = kept(createNamed(name));
    const ended = collect(end);
    const child = started([JSON.stringify({ name, opens: 'attach', role: 'leaves' })]);
    expect(await event(child, 'exit')).toEqual([0, null]);
    expect((await ended).length).toBe(0);
  });

  it('lives on while its peer is stopped', async () => {
    const { end, child } = await withPartner('echo');
    const seen = record(end);
    child.kill('SIGSTOP');
    end.write('later');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(seen).toEqual([]);
    child.kill('SIGCONT');
    expect(String(await take(end, 5))).toBe('later');
  });

  it('lets its loop end when it is unref, and a destroyed one holds nothing', async () => {
    const name = freshName();
    const child = await partnerWith(name, 'create', 'unrefs');
    expect((await event(child, 'exit'))[0]).toBe(0);
    expect(mappings(name)).toBe(undefined);
  });

  it('is the end of every view: they have length 0, and late calls do nothing', async () => {
    const { end } = await withPartner('holds');
    await end.ring.readable();
    const view = end.ring.peek();
    const floats = frames(end, Uint8Array);
    const frame = floats.reserve(100);
    expect([view?.length, frame?.view.length]).toEqual([1000, 100]);
    const held = frame?.view;
    end.destroy();
    await event(end, 'close');
    await until(() => view?.length === 0);
    expect(held?.length).toBe(0);
    frame?.commit();
    end.ring.release(1);
    expect([end.ring.peek(), end.ring.reserve(1), end.ring.write(Buffer.of(1)), floats.take()]).toEqual([
      undefined,
      undefined,
      0,
      undefined,
    ]);
    expect(await end.ring.readable()).toBe(false);
  });
});

describe('the name of a segment', options as object, () => {
  it('has one creator and one attacher, in two processes', async () => {
    const { name, end, child } = await withPartner('holds');
    expect(await codeOf(() => createNamed(name))).toBe('ERR_SMC_NAME_IN_USE');
    expect(await codeOf(() => attachNamed(name))).toBe('ERR_SMC_NAME_IN_USE');
    for (const opens of ['create', 'attach'] as const) {
      const third = started([JSON.stringify({ name, opens, role: 'echo' })]);
      expect((await event(third, 'message'))[0]).toEqual({ code: 'ERR_SMC_NAME_IN_USE' });
    }
    expect(end.destroyed).toBe(false);
    // Its attacher is dead and it was attached once: nobody comes in again until it is created anew.
    await killed(child);
    const late = started([JSON.stringify({ name, opens: 'attach', role: 'echo' })]);
    expect((await event(late, 'message'))[0]).toEqual({ code: 'ERR_SMC_NAME_IN_USE' });
  });

  it('can be used again at once when its segment is closed', async () => {
    const name = freshName();
    for (let i = 0; i < 20; i++) {
      const end = createNamed(name);
      end.destroy();
      await event(end, 'close');
      await until(() => mappings(name) === undefined);
    }
  });

  it('has one creator of many that try at the same time', async () => {
    const name = freshName();
    const many = Array.from({ length: 5 }, () => started([JSON.stringify({ name, opens: 'create', role: 'holds' })]));
    const said = await Promise.all(many.map(async (child) => (await event(child, 'message'))[0]));
    expect(said.filter((message) => message === 'open')).toHaveLength(1);
    expect(said.filter((message) => message !== 'open')).toEqual(Array.from({ length: 4 }, () => ({ code: 'ERR_SMC_NAME_IN_USE' })));
    expect(mappings(name)).toBe(1);
  });

  it('leads to memory that is given back: nothing stays mapped, however many connections there were', async () => {
    const before = ownMappings();
    const name = freshName();
    for (let i = 0; i < 10; i++) {
      const end = i % 2 === 0 ? createNamed(name, { allowHalfOpen: true }) : undefined;
      const child = await partnerWith(name, end === undefined ? 'create' : 'attach', 'echo');
      const ours = kept(end ?? (await attachNamed(name, { allowHalfOpen: true })));
      expect(ownMappings()).toBe(before + 1);
      ours.write('x');
      await take(ours, 1);
      ours.end();
      ours.resume();
      await event(ours, 'close');
      await until(() => mappings(name) === undefined);
      expect(ownMappings()).toBe(before);
      await killed(child);
    }
  });

  it('that nobody has created is waited for, as long as was said', async () => {
    expect(await codeOf(() => attachNamed(freshName(), { wait: 0 }))).toBe('ERR_SMC_NAME_NOT_FOUND');
    expect(await codeOf(() => attachNamed(freshName(), { wait: 30 }))).toBe('ERR_SMC_NAME_NOT_FOUND');
    const reason = new Error('changed my mind');
    await expect(attachNamed(freshName(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    await expect(attachNamed(freshName(), { signal: controller.signal })).rejects.toBe(reason);
    const name = freshName();
    const waiting = attachNamed(name, { wait: 60_000, allowHalfOpen: true });
    await partnerWith(name, 'create', 'echo');
    const end = kept(await waiting);
    end.write('x');
    expect(String(await take(end, 1))).toBe('x');
  });

  it('is free again after its processes were killed, one or both, for a creator and for an attacher', async () => {
    for (const both of [false, true]) {
      for (const next of ['create', 'attach'] as const) {
        const name = freshName();
        const creator = await partnerWith(name, 'create', 'holds');
        const attacher = both ? await partnerWith(name, 'attach', 'holds') : undefined;
        await killed(creator);
        if (attacher !== undefined) await killed(attacher);
        expect(mappings(name)).toBe(0);
        if (next === 'attach') {
          expect(await codeOf(() => attachNamed(name, { wait: 0 }))).toBe('ERR_SMC_NAME_NOT_FOUND');
          expect(mappings(name)).toBe(undefined);
        } else {
          const end = kept(createNamed(name, { allowHalfOpen: true }));
          expect(mappings(name)).toBe(1);
          await partnerWith(name, 'attach', 'echo');
          end.write('again');
          expect(String(await take(end, 5))).toBe('again');
        }
      }
    }
  });

  it('is refused with a code where it is none', async () => {
    for (const name of ['', 'x'.repeat(256), 7 as unknown as string]) {
      expect(await codeOf(() => createNamed(name))).toBe('ERR_SMC_INVALID_OPTION');
      expect(await codeOf(() => attachNamed(name))).toBe('ERR_SMC_INVALID_OPTION');
    }
    expect(await codeOf(() => createNamed('x', { ringSize: 100_000 }))).toBe('ERR_SMC_INVALID_OPTION');
    expect(await codeOf(() => createNamed('x', { pollInterval: 0 }))).toBe('ERR_SMC_INVALID_OPTION');
    expect(await codeOf(() => attachNamed('x', { wait: -1 }))).toBe('ERR_SMC_INVALID_OPTION');
    expect(await codeOf(() => createNamed('x', { readableHighWaterMark: -1 }))).toBe('ERR_INVALID_ARG_VALUE');
    expect(mappings('x')).toBe(undefined);
  });
});
