// link-group-steps.test.ts - a link breaks at every step of what two peers tell each other by LLC: CONFIRM LINK and ADD LINK, CONFIRM RKEY
// of a further connection, DELETE LINK after a first failure or to replace a link, and the end of the group. Bytes arrive once, or both
// ends are reset; a failed contact is declined; nothing is left over. How steps are counted: simulated/steps.ts.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { FIRST_CONTACT_FAILURE } from '../src/group/index.js';
import { DELETE_REASON } from '../src/llc/index.js';
import type { SimulatedEnd, Transfer, World } from './simulated/peers.js';
import {
  type Armed,
  atEveryStep,
  breaksOf,
  closeBoth,
  type Ends,
  failPairs,
  hasTwoLinks,
  nothingIsLeft,
  transfersOf,
  twoDevices,
  twoLinks,
} from './simulated/steps.js';

const K = 1024;
const LIMIT = { timeout: 600_000 };
const BREAKS = breaksOf(0);
const BREAKS_OF_OTHER = breaksOf(1);

const done = (transfers: readonly Transfer[]): boolean => transfers.every((it) => it.done);

/** Control verbs take as long as a message, so that ADD LINK takes place among the first of the data. */
function quickControl(world: World): void {
  for (const { contexts } of world.peers) for (const context of contexts) context.controlTime = 0.005;
}

/** A first contact that is broken at some step from the Accept on, or later. */
async function brokenContact(world: World, arm: (world: World) => Armed): Promise<[Armed, Ends | undefined]> {
  let armed: Armed | undefined;
  const ends = await world.firstContact(16 * K, () => {
    quickControl(world);
    armed ??= arm(world);
  });
  if (armed === undefined) throw new Error('nothing was to break');
  return [armed, ends];
}

/** Both go on, or both are reset with their groups. True if they go on. */
async function outcome(world: World, ends: Ends, transfers: readonly Transfer[], settled: () => boolean): Promise<boolean> {
  const reset = (): boolean => ends.every((end) => end.reset);
  await world.time.until(() => (done(transfers) && settled()) || reset(), 240_000, 'the transfer, or the reset');
  if (!reset()) return true;
  await world.time.until(() => world.peers.every(({ ended }) => ended !== undefined), 120_000, 'the end of both groups');
  for (const { ended } of world.peers) expect(ended).toBe(DELETE_REASON.lostPath);
  return false;
}

/** Both ends close, and are removed: in order, or because the only link breaks now. */
async function close(world: World, ends: Ends): Promise<void> {
  for (const end of ends) end.setState(CONN_STATE.closed);
  await world.time.until(() => world.peers.every(({ removed }) => removed === 1), 120_000, 'the close');
}

describe('a first contact', () => {
  it.each(BREAKS)('whose link breaks at any step because %s is declined, reset or goes on', LIMIT, async (_name, how) => {
    const seen = { declined: 0, reset: 0, survived: 0 };
    await atEveryStep({ how, least: { request: 25, event: 90 } }, async (version, seed, arm) => {
      const world = twoDevices(version, seed);
      const [armed, ends] = await brokenContact(world, arm);
      if (ends === undefined) {
        seen.declined++;
        await declined(world);
      } else {
        const transfers = transfersOf(ends, 30 * K, 30 * K);
        const goesOn = await outcome(world, ends, transfers, () => armed.fired || hasTwoLinks(world));
        if (goesOn) await close(world, ends);
        seen[goesOn ? 'survived' : 'reset']++;
      }
      armed.disarm();
      await nothingIsLeft(world);
      return armed;
    });
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });

  it.each(BREAKS_OF_OTHER)('goes on alone when the link that is being added breaks at any step: %s', LIMIT, async (_name, how) => {
    await atEveryStep({ how, least: { request: 25, event: 90 } }, async (version, seed, arm) => {
      const world = twoDevices(version, seed);
      const [armed, ends] = await brokenContact(world, arm);
      if (ends === undefined) throw new Error('no first contact');
      const transfers = transfersOf(ends, 30 * K, 30 * K);
      await world.time.until(() => done(transfers) && (armed.fired || hasTwoLinks(world)), 240_000, 'the transfer and ADD LINK');
      await closeBoth(world, ends);
      armed.disarm();
      await nothingIsLeft(world);
      return armed;
    });
  });
});

/**
 * One side at least has failed. The other one fails by its own time, is told by the Decline, or had its link already and finds by TEST LINK
 * that nobody is there.
 */
async function declined(world: World): Promise<void> {
  await world.time.pass(10_000);
  for (const { group } of world.peers) if (group.state === 'founding') group.end(DELETE_REASON.programEnded);
  await world.time.until(() => world.peers.every(({ group }) => group.state === 'ended'), 120_000, 'the end of both');
  const codes = world.peers.map(({ failed, ended }) => failed ?? ended);
  const { confirmLinkTimeout, internal } = FIRST_CONTACT_FAILURE;
  for (const code of codes) expect([confirmLinkTimeout, internal, DELETE_REASON.lostPath]).toContain(code);
  expect(world.peers.some(({ failed }) => failed !== undefined)).toBe(true);
}

describe('a further contact', () => {
  // It is on the second link, the first connection on the first.
  it.each(BREAKS_OF_OTHER)('at any step of which %s is made or declined, and the first connection goes on', LIMIT, async (_name, how) => {
    const seen = { made: 0, declined: 0 };
    await atEveryStep({ how, least: { request: 15, event: 50 } }, async (version, seed, arm) => {
      const [world, first] = await twoLinks(version, seed);
      const { server } = world;
      const armed = arm(world);
      const transfers = transfersOf(first, 10 * K, 10 * K);
      let early: SimulatedEnd | undefined;
      // Needs a new RMB at both ends, so a CONFIRM RKEY each way.
      const second = await world.connect(16 * K, async (end) => void (early = end)).catch((error: Error) => error.message);
      if (typeof second !== 'string') {
        seen.made++;
        transfers.push(...transfersOf(second, 10 * K, 10 * K));
        await world.time.until(() => done(transfers), 120_000, 'the transfers');
        await closeBoth(world, second);
      } else {
        seen.declined++;
        expect([second, armed.fired]).toEqual([expect.stringMatching(/^declined: /), true]);
        // The client had sent its Confirm: the server refuses over the link that is left.
        const made = early;
        if (made !== undefined) {
          await world.time.until(() => made.reset, 10_000, 'the reset');
          made.setState(CONN_STATE.closed);
        }
        await world.time.until(() => done(transfers), 120_000, 'the first connection');
        // Until both have noticed the next one could be declined, too.
        await world.time.pass(1000);
        const again = await world.connect();
        const more = transfersOf(again, 10 * K, 10 * K);
        await world.time.until(() => done(more), 120_000, 'the next connection');
      }
      armed.disarm();
      expect([server.ended, first.map(({ reset }) => reset)]).toEqual([undefined, [false, false]]);
      await nothingIsLeft(world);
      return armed;
    });
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });
});

describe('DELETE LINK after a first failure', () => {
  const firstBreaks: readonly (readonly [string, (world: World) => void])[] = [
    ['client', ({ client }) => failPairs(client, 0)],
    ['server', ({ server }) => failPairs(server, 0)],
  ];
  for (const [side, first] of firstBreaks) {
    it.each(BREAKS_OF_OTHER)(
      `at the ${side}: at any step %s, so connections go on over a new link or are reset`,
      LIMIT,
      async (_name, how) => {
        const seen = { reset: 0, survived: 0 };
        await atEveryStep({ how, least: { request: 25, event: 90 } }, async (version, seed, arm) => {
          const [world, ends] = await twoLinks(version, seed);
          quickControl(world);
          first(world);
          const armed = arm(world);
          const transfers = transfersOf(ends, 30 * K, 30 * K);
          // Both have noticed, and have a new one.
          const restored = () =>
            armed.fired || (hasTwoLinks(world) && world.peers.every(({ group }) => group.links.every((it) => it.number > 1)));
          const goesOn = await outcome(world, ends, transfers, restored);
          if (goesOn) await close(world, ends);
          seen[goesOn ? 'survived' : 'reset']++;
          armed.disarm();
          await nothingIsLeft(world);
          return armed;
        });
        for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
      },
    );
  }
});

describe('the replacement of a link that shares a port', () => {
  it.each([...BREAKS, ...BREAKS_OF_OTHER])(
    'is interrupted at any step because %s: bytes arrive once or both ends are reset',
    LIMIT,
    async (_name, how) => {
      await atEveryStep({ how, least: { request: 20, event: 80 } }, async (version, seed, arm) => {
        const [world, ends] = await twoLinks(version, seed);
        quickControl(world);
        const { driver, group, contexts } = world.client;
        const [, context] = contexts;
        if (context === undefined) throw new Error('no second device');
        driver.deviceEvent(context, { type: 'port-error', port: 1 });
        const gids = () =>
          new Set(group.links.flatMap(({ state, own }) => (state === 'active' ? [Buffer.from(own?.gid ?? []).toString('hex')] : [])));
        await world.time.until(() => hasTwoLinks(world) && gids().size === 1, 100_000, 'two links with one end');
        driver.deviceEvent(context, { type: 'port-active', port: 1 });
        const armed = arm(world);
        const transfers = transfersOf(ends, 10 * K, 10 * K);
        const goesOn = await outcome(world, ends, transfers, () => armed.fired || (hasTwoLinks(world) && gids().size === 2));
        if (goesOn) await close(world, ends);
        armed.disarm();
        await nothingIsLeft(world);
        return armed;
      });
    },
  );
});

describe('the end of a link group', () => {
  for (const side of ['client', 'server'] as const) {
    it.each(BREAKS)(`by the ${side}, at any step of which %s, resets both ends and leaves nothing`, LIMIT, async (_name, how) => {
      await atEveryStep({ how, least: { request: 2, event: 10 } }, async (version, seed, arm) => {
        const [world, ends] = await twoLinks(version, seed);
        const transfers = transfersOf(ends, 60 * K, 60 * K);
        await world.time.pass(0.3);
        expect(done(transfers)).toBe(false);
        const armed = arm(world);
        world[side].group.end(DELETE_REASON.programEnded, true);
        await world.time.until(() => world.peers.every(({ ended }) => ended !== undefined), 120_000, 'the end of both');
        await world.run(Promise.all(world.peers.map(({ driver }) => driver.finished())));
        armed.disarm();
        expect(ends.map(({ reset }) => reset)).toEqual([true, true]);
        // Told so, or found that nobody is there.
        for (const { ended } of world.peers) expect([DELETE_REASON.programEnded, DELETE_REASON.lostPath]).toContain(ended);
        await nothingIsLeft(world);
        return armed;
      });
    });
  }
});
