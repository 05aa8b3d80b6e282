// connection-failover.test.ts - any order of writing, reading, posting, arriving, acknowledging and failing links: every byte
// arrives once and in order, and both ends get to closed.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { payload, Verifier } from '../../../test/support/random.js';
import { NEWS } from '../src/connection/index.js';
import { type End, pair, settle } from './connection-pair.js';

const side = fc.nat(1);
const step = fc.oneof(
  fc.record({ do: fc.constant('write' as const), side, length: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ do: fc.constant('read' as const), side, length: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({
    do: fc.constantFrom('post' as const, 'arrive' as const, 'acknowledge' as const, 'look' as const),
    side,
    length: fc.constant(1),
  }),
  fc.record({ do: fc.constantFrom('post' as const, 'arrive' as const, 'look' as const), side, length: fc.constant(8) }),
  fc.record({ do: fc.constant('fail' as const), side, length: fc.constant(0) }),
);
const sizes = fc.tuple(fc.constantFrom(16384, 65536), fc.constantFrom(16384, 65536), fc.constantFrom(16384, 32768, 65536));

class Stream {
  readonly #seed: number;
  written = 0;
  readonly verifier: Verifier;

  constructor(seed: number) {
    this.#seed = seed;
    this.verifier = new Verifier(seed);
  }

  write(end: End, length: number): void {
    this.written += end.write(payload(this.#seed, length, this.written));
  }
}

describe('a connection whose links fail', () => {
  it('loses no byte and repeats none, whatever happens when', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(sizes, fc.array(step, { minLength: 10, maxLength: 300 }), ([left, right, buffer], steps) => {
        const ends = pair([left, right], buffer);
        const streams = [new Stream(1), new Stream(2)] as const;
        for (const { do: what, side: at, length } of steps) {
          const end = ends[at as 0 | 1];
          const peer = ends[(1 - at) as 0 | 1];
          if (what === 'write') streams[at as 0 | 1].write(end, length);
          else if (what === 'read') streams[(1 - at) as 0 | 1].verifier.take(end.read(length));
          else if (what === 'post') end.transmit(length);
          else if (what === 'arrive') for (let i = 0; i < length; i++) end.arrive(peer);
          else if (what === 'acknowledge') end.acknowledge();
          else if (what === 'look') for (let i = 0; i < length; i++) end.look();
          else {
            // The link is lost for both; each end looks at what its adapter has before it goes on with the other link.
            for (const it of ends) while (it.inbox.length > 0) it.look();
            for (const it of ends) it.failover();
          }
        }
        for (const end of ends) end.close();
        for (let round = 0; round < 100; round++) {
          settle(...ends);
          for (const at of [0, 1] as const) streams[1 - at]?.verifier.take(ends[at].read());
        }
        for (const at of [0, 1] as const) {
          const { verifier, written } = streams[at];
          // A side that closes does not read any more in a program; here it does, until the peer's close shuts the sender up.
          expect(verifier.received).toBeLessThanOrEqual(written);
          expect(ends[at].connection.closing.state).toBe('closed');
          expect(ends[at].connection.clean).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('brings every byte to a peer that reads before it closes', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(
        sizes,
        fc.array(step, { minLength: 10, maxLength: 200 }),
        fc.array(fc.nat(9), { maxLength: 20 }),
        ([left, right, buffer], steps, failures) => {
          const ends = pair([left, right], buffer);
          const streams = [new Stream(1), new Stream(2)] as const;
          const failing = new Set(failures);
          for (const [i, { do: what, side: at, length }] of steps.entries()) {
            const end = ends[at as 0 | 1];
            if (what === 'write') streams[at as 0 | 1].write(end, length);
            else if (what === 'read') streams[(1 - at) as 0 | 1].verifier.take(end.read(length));
            else if (what === 'post') end.transmit(length);
            else if (what === 'arrive') end.arrive(ends[(1 - at) as 0 | 1]);
            else if (what === 'look') end.look();
            if (failing.has(i % 10)) {
              for (const it of ends) while (it.inbox.length > 0) it.look();
              for (const it of ends) it.failover();
            }
          }
          for (const end of ends) end.end();
          for (let round = 0; round < 200; round++) {
            if (failing.has(round)) {
              for (const it of ends) it.transmit(1);
              ends[0].arrive(ends[1]);
              for (const it of ends) while (it.inbox.length > 0) it.look();
              for (const it of ends) it.failover();
            }
            settle(...ends);
            for (const at of [0, 1] as const) streams[1 - at]?.verifier.take(ends[at].read());
          }
          for (const at of [0, 1] as const) expect(streams[at].verifier.received).toBe(streams[at].written);
          for (const end of ends) end.close();
          settle(...ends);
          for (const end of ends) expect([end.connection.closing.state, end.connection.clean]).toEqual(['closed', true]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('notices that bytes are missing: the validation names a message that never came', () => {
    const [a, b] = pair();
    a.write(payload(1, 100));
    a.transmit();
    a.arrive(b);
    a.acknowledge();
    b.inbox.length = 0; // acknowledged by the adapter, and then lost
    a.failover();
    a.transmit(1);
    a.arrive(b);
    expect(() => b.look()).toThrow('news 36'); // state and gap
    b.transmit();
    b.arrive(a);
    a.look();
    expect(a.connection.closing.state).toBe('processAbort');
    expect(b.connection.closing.state).toBe('closed');
    expect(b.connection.clean).toBe(false);
  });

  it('tells that there is room when the peer has read what was not acknowledged', () => {
    const [a, b] = pair();
    a.write(payload(1, 16384));
    a.transmit();
    a.arrive(b);
    b.look();
    b.read();
    b.transmit();
    b.arrive(a);
    a.look();
    expect(a.write(payload(1, 1))).toBe(0);
    a.news = 0;
    a.failover();
    expect(a.news).toBe(NEWS.room);
    expect(a.write(payload(1, 1, 16384))).toBe(1);
  });

  it('first sends the validation and then repeats what may be lost, in that order and with new numbers', () => {
    const [a, b] = pair();
    for (const length of [10, 20, 30]) {
      a.write(payload(1, length));
      a.transmit();
    }
    a.arrive(b);
    a.acknowledge();
    a.arrive(b);
    b.look();
    b.look();
    a.failover();
    expect(a.transmit()).toBe(2);
    const [validation, repeated] = a.flying.map(({ cdc, writes }) => ({
      sequence: cdc[2] * 256 + cdc[3],
      flags: cdc[24],
      writes: writes.map(({ to, bytes }) => [to, bytes.length]),
    })) as [unknown, unknown];
    expect(validation).toEqual({ sequence: 1, flags: 0x08, writes: [] });
    expect(repeated).toEqual({ sequence: 4, flags: 0x10, writes: [[10, 50]] });
  });
});
