// failover.test.ts - a link breaks while bytes are underway: connections go on over the other link, where there is none both ends are reset,
// and a link is had again. Queue pairs, adapters and time are simulated. Every step: failover-steps.test.ts, link-group-steps.test.ts.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { emptyCdc } from '../src/cdc/index.js';
import type { Link } from '../src/group/index.js';
import { STATUS } from '../src/verbs-provider.js';
import { Transfer, World } from './simulated/peers.js';
import { atEveryStep, type Break, breaksOf, closeBoth, failPairs, nothingIsLeft, transfersOf, twoLinks } from './simulated/steps.js';

const K = 1024;

const BREAKS = breaksOf(0);

/** The client has received so much; `link` is the one that is not used, and `next` what the server may send. */
async function received10K() {
  const [world, [end, other]] = await twoLinks(2, 11);
  other.write(new Uint8Array(10 * K));
  await world.time.until(() => end.member.connection.receiving.produced === 10 * K, 10_000, 'the bytes');
  const { connection, peerLink } = end.member;
  const { token, receiving } = connection;
  const link = world.client.group.links.find((one) => one !== peerLink) as Link;
  const next = (later: number, bytes = later) => ({
    ...emptyCdc(),
    token,
    sequence: receiving.sequence + later,
    producerOffset: 10 * K + bytes,
  });
  return { world, end, link, next };
}

/** A port of this side is down, and both links have one end there, on the port that is left. */
async function onOnePort(side: 'client' | 'server') {
  const [world, ends] = await twoLinks(2, 17);
  const { driver, contexts, group } = world[side];
  const context = contexts[1] as (typeof contexts)[0];
  driver.deviceEvent(context, { type: 'port-error', port: 1 });
  const gids = () => group.links.flatMap(({ state, own }) => (state === 'active' ? Buffer.from(own?.gid ?? []).toString('hex') : []));
  const distinct = () => new Set(gids()).size;
  await world.time.pass(100_000);
  expect([gids().length, distinct()]).toEqual([2, 1]);
  return { world, ends, distinct, back: () => driver.deviceEvent(context, { type: 'port-active', port: 1 }) };
}

describe('when a link breaks', () => {
  it('its last receives may show late: the other link waits for them', { timeout: 120_000 }, async () => {
    const how: Break = ({ client }) => failPairs(client, 0);
    await atEveryStep({ how, least: { request: 40, event: 120 }, anyVersion: true }, async (version, seed, arm) => {
      const [world, ends] = await twoLinks(version, seed);
      // Acknowledged by the adapter, seen up to 20 ms later, on the first device only.
      for (const { contexts } of world.peers) (contexts[0] as (typeof contexts)[0]).completionDelay = 20;
      const armed = arm(world);
      const transfers = transfersOf(ends, 60 * K, 40 * K);
      await world.time.until(() => transfers.every(({ done }) => done), 120_000, 'the transfer');
      armed.disarm();
      return armed;
    });
  });

  it.each<[string, Break]>([
    [
      'the port',
      ({ fabric, client }) => {
        for (const device of [0, 1]) fabric.cut(client.gid(device));
      },
    ],
    [
      'the queue pair',
      ({ server }) => {
        for (const device of [0, 1]) failPairs(server, device);
      },
    ],
  ])('%s, and the other one, too, at any step, both ends are reset and nothing is left over', { timeout: 120_000 }, async (_name, how) => {
    await atEveryStep({ how, least: { request: 40, event: 120 }, anyVersion: true }, async (version, seed, arm) => {
      const [world, ends] = await twoLinks(version, seed);
      const armed = arm(world);
      const transfers = transfersOf(ends, 60 * K, 40 * K);
      const done = () => transfers.every((it) => it.done);
      await world.time.until(() => (armed.fired ? ends.every((end) => end.reset) : done()), 240_000, 'the reset');
      armed.disarm();
      for (const { ended } of world.peers) expect(ended).toBe(armed.fired ? 0x00010000 : undefined);
      await nothingIsLeft(world);
      return armed;
    });
  });

  it.each(BREAKS.slice(0, 4))('and there is only one, at any step, both ends are reset: %s', { timeout: 120_000 }, async (_name, how) => {
    await atEveryStep({ how, least: { request: 40, event: 120 }, anyVersion: true }, async (version, seed, arm) => {
      const world = new World({ seed, latency: [0.001, 0.2] }, { version });
      const ends = await world.firstContact();
      if (ends === undefined) throw new Error('no first contact');
      const armed = arm(world);
      const transfers = transfersOf(ends, 60 * K, 40 * K);
      const done = () => transfers.every((it) => it.done);
      await world.time.until(() => (armed.fired ? ends.every((end) => end.reset) : done()), 240_000, 'the reset');
      armed.disarm();
      for (const { ended } of world.peers) expect(ended).toBe(armed.fired ? 0x00010000 : undefined);
      return armed;
    });
  });

  it('the server adds another one as soon as the port is back', async () => {
    const [world, ends] = await twoLinks(2, 11);
    BREAKS[2]?.[1](world);
    const transfer = new Transfer(...ends, 1, 100 * K);
    transfer.pump();
    await world.time.until(() => transfer.done, 120_000, 'the transfer');
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 120_000, 'the new link');
    BREAKS[3]?.[1](world);
    const again = new Transfer(ends[1], ends[0], 2, 100 * K);
    again.pump();
    await world.time.until(() => again.done, 120_000, 'the second transfer');
  });

  it.each([1, 2] as const)('it is had again when the network is back, though nobody tells, version %i', async (version) => {
    const [world] = await twoLinks(version, 13);
    world.fabric.cut(world.client.gid(1));
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 1), 60_000, 'the loss');
    // Long enough for attempts to have become rare.
    await world.time.pass(200_000);
    const before = world.fabric.requests;
    await world.time.pass(120_000);
    // Attempts, keepalive and retries of two minutes.
    expect(world.fabric.requests - before).toBeLessThan(120);
    world.fabric.mend(world.client.gid(1));
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 130_000, 'the second link');
  });

  it.each(['client', 'server'] as const)('it is had again at once when a port of the %s is', async (side) => {
    const { world, distinct, back } = await onOnePort(side);
    back();
    await world.time.until(() => distinct() === 2, 1000, 'two links with two ends');
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 1000, 'them at both sides');
  });

  it.each(['client', 'server'] as const)('none that works makes way at the %s under a connection that is shut down there', async (side) => {
    const { world, ends, distinct, back } = await onOnePort(side);
    // One over each link: Linux repeats nothing of what it has underway for them.
    const pairs = [ends, await world.connect()] as const;
    const [here, there] = side === 'client' ? ([0, 1] as const) : ([1, 0] as const);
    for (const both of pairs) both[here].setState(CONN_STATE.sendingDone);
    await world.time.until(() => pairs.every((both) => both[there].state === 'appCloseWait1'), 1000, 'the half close');
    const before = world[side].group.links.map(({ number }) => number);
    back();
    await world.time.pass(300_000);
    expect(world[side].group.links.map(({ number }) => number)).toEqual(before);
    for (const both of pairs) await closeBoth(world, both);
    await world.time.until(() => distinct() === 2, 61_000, 'two links with two ends');
  });

  it.each([
    [1, 1, 'goes on when nothing is missing', false],
    [2, 1, 'is reset when one is missing: what that told of has been lost with the old link, and is not written again', true],
    [5, 1, 'is reset when several are missing', true],
    [5, 0, 'goes on when no byte can be missing', false],
  ])('a connection whose peer goes on over another link %i messages later, with %i bytes and no validation, %s', async (...how) => {
    // As Linux does with what is shut down or closed at either end.
    const [later, bytes, , reset] = how;
    const { world, end, link, next } = await received10K();
    const { connection, peerLink } = end.member;
    const { group } = world.client;
    const message = next(later, bytes);
    group.receivedCdc(link, message, () => world.time.now());
    expect(connection.receiving.sequence === message.sequence).toBe(!reset);
    // It may still bring what is missing.
    expect([end.member.peerLink === link, group.links.includes(peerLink)]).toEqual(reset ? [false, true] : [true, false]);
    await world.time.pass(1000);
    expect([end.member.peerLink, group.links.includes(peerLink)]).toEqual([link, false]);
    expect(end.reset).toBe(reset);
  });

  it('what comes over another link without a validation waits for what the old one still brings', async () => {
    const { world, end, link, next } = await received10K();
    const { connection, peerLink } = end.member;
    const { group } = world.client;
    const [first, second, third] = [next(1), next(2), next(3)];
    for (const message of [second, third]) group.receivedCdc(link, message, () => world.time.now());
    expect(connection.receiving.produced).toBe(10 * K);
    group.receivedCdc(peerLink, first, () => world.time.now());
    expect(connection.receiving.produced).toBe(10 * K + 3);
    expect([end.member.peerLink, group.links.includes(peerLink), group.held.any]).toEqual([link, false, false]);
    await world.time.pass(1000);
    expect(end.reset).toBe(false);
  });

  it('again and again, under loss, many connections keep their bytes', { timeout: 120_000 }, async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const [world, ends] = await twoLinks(2, seed);
      world.fabric.loss = 10;
      const pairs = [ends];
      for (let i = 0; i < 6; i++) pairs.push(await world.connect());
      const transfers = pairs.flatMap(([a, b], i) => [new Transfer(a, b, i, 60 * K), new Transfer(b, a, 100 + i, 60 * K)]);
      for (let i = 0; i < 6; i++) {
        world.time.after(5 * i, () => {
          const peer = world.peers[i % 2];
          // One queue pair of the two links at a time, so that the other one carries on.
          if (world.peers.some((it) => it.activeLinks() < 2)) return;
          for (const pair of peer?.contexts[i % 2]?.pairs ?? []) pair.fail(STATUS.general);
        });
      }
      for (const transfer of transfers) transfer.pump();
      await world.time.until(() => transfers.every(({ done }) => done), 600_000, `the transfers of seed ${seed}`);
    }
  });
});
