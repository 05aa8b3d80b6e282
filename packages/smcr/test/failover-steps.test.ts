// failover-steps.test.ts - one of two links breaks at every step of a transfer and of each way a connection ends: no byte is lost or
// repeated, both ends end as they would have, and no other connection is harmed. How steps are counted: simulated/steps.ts.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { type SimulatedEnd, Transfer } from './simulated/peers.js';
import { atEveryStep, breaksOf, closeBoth, nothingIsLeft, transfersOf, twoLinks } from './simulated/steps.js';

const K = 1024;
const LIMIT = { timeout: 600_000 };

describe.each(breaksOf(0))('when %s', (_name, how) => {
  it('at any step of a transfer and its close, every byte arrives once and both ends get to closed', LIMIT, async () => {
    await atEveryStep({ how, least: { request: 40, event: 120 }, anyVersion: true }, async (version, seed, arm) => {
      const [world, ends] = await twoLinks(version, seed);
      const armed = arm(world);
      const transfers = transfersOf(ends, 60 * K, 40 * K);
      await world.time.until(() => transfers.every(({ done }) => done), 120_000, 'the transfer');
      await closeBoth(world, ends);
      armed.disarm();
      expect(world.peers.map(({ ended }) => ended)).toEqual([undefined, undefined]);
      await nothingIsLeft(world);
      return armed;
    });
  });

  it('and the same one again when it is back, at any step, every byte arrives once', LIMIT, async () => {
    await atEveryStep({ how, least: { request: 25, event: 70 }, anyVersion: true }, async (version, seed, arm) => {
      const [world, ends] = await twoLinks(version, seed);
      how(world);
      world.time.after(40, () => world.peers.forEach((peer) => void world.fabric.mend(peer.gid(0))));
      const armed = arm(world);
      const transfers = transfersOf(ends, 60 * K, 40 * K);
      await world.time.until(() => transfers.every(({ done }) => done), 120_000, 'the transfer');
      await closeBoth(world, ends);
      armed.disarm();
      expect(world.peers.map(({ ended }) => ended)).toEqual([undefined, undefined]);
      return armed;
    });
  });

  it.each([0, 1] as const)(
    'at any step of a close by halves that end %i begins, each end comes behind the last byte',
    LIMIT,
    async (first) => {
      await atEveryStep({ how, least: { request: 6, event: 20 }, anyVersion: true }, async (version, seed, arm) => {
        const [world, ends] = await twoLinks(version, seed);
        const [from, to] = [ends[first], ends[1 - first] as SimulatedEnd];
        const ended = ({ rx }: SimulatedEnd): boolean => (rx.state() & CONN_STATE.sendingDone) !== 0;
        const armed = arm(world);
        const question = new Transfer(from, to, 1, 3 * K);
        question.pump();
        from.setState(CONN_STATE.sendingDone);
        await world.time.until(() => ended(to), 120_000, 'the end of one direction');
        expect(question.done).toBe(true);
        // The other direction goes on for a while.
        const answer = new Transfer(to, from, 2, 3 * K);
        answer.pump();
        to.setState(CONN_STATE.sendingDone);
        await world.time.until(() => ended(from), 120_000, 'the end of the other');
        expect(answer.done).toBe(true);
        await closeBoth(world, ends);
        armed.disarm();
        return armed;
      });
    },
  );

  it('at any step of an abort, the peer is reset, and no other connection is', LIMIT, async () => {
    await atEveryStep({ how, least: { request: 10, event: 30 }, anyVersion: true }, async (version, seed, arm) => {
      const [world, [a, b]] = await twoLinks(version, seed);
      const other = await world.connect();
      const armed = arm(world);
      const transfers = transfersOf(other, 5 * K, 5 * K);
      a.write(Buffer.alloc(1000));
      a.setState(CONN_STATE.closed | CONN_STATE.abnormal);
      await world.time.until(() => b.reset, 120_000, 'the reset');
      b.setState(CONN_STATE.closed | CONN_STATE.abnormal);
      await world.time.until(() => world.peers.every(({ removed }) => removed === 1), 120_000, 'the removal');
      await world.time.until(() => transfers.every(({ done }) => done), 120_000, 'the other connection');
      armed.disarm();
      expect(other.map(({ reset }) => reset)).toEqual([false, false]);
      return armed;
    });
  });
});
