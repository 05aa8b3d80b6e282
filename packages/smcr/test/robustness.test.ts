// robustness.test.ts - link groups bear what real adapters, Linux and their own users do, over simulated RDMA.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OPCODE, SEND_WR, STATUS } from '../src/verbs-provider.js';
import { payload } from '../../../test/support/random.js';
import { type SimulatedEnd, World } from './simulated/peers.js';
import { transfersOf, twoLinks } from './simulated/steps.js';

async function connected(world: World): Promise<[SimulatedEnd, SimulatedEnd]> {
  const ends = await world.firstContact();
  if (ends === undefined) throw new Error('the first contact failed');
  return ends;
}

/** Uncaught exceptions of this test, which do not end it. */
function uncaught(): unknown[] {
  const errors: unknown[] = [];
  const others = process.listeners('uncaughtException');
  const take = (error: unknown): void => void errors.push(error);
  process.removeAllListeners('uncaughtException').on('uncaughtException', take);
  process.on('unhandledRejection', take);
  onTestFinished(() => {
    process.off('uncaughtException', take).off('unhandledRejection', take);
    for (const listener of others) process.on('uncaughtException', listener);
  });
  return errors;
}

describe('a link group', () => {
  it('is taken down without waiting for receives that were posted when the queue pair was in ERROR already', async () => {
    const world = new World({ seed: 1 });
    const [a] = await connected(world);
    const [context] = world.server.contexts;
    if (context === undefined) throw new Error('no device');
    context.deafInError = true;
    context.completionDelay = 3;
    for (let i = 0; i < 5; i++) a.write(payload(1, 10, 10 * i));
    await world.time.pass(0.5);
    for (const pair of context.pairs) pair.fail(STATUS.fatal);
    await world.time.until(() => world.server.ended !== undefined, 1000, 'the end');
    await world.run(world.server.driver.finished(), 1000, 'the release of everything');
    expect(context.pairs.size).toBe(0);
  });

  it('goes on when callbacks of its owner throw, and the exceptions are seen', async () => {
    const errors = uncaught();
    const world = new World({ seed: 1 });
    const [a, b] = await connected(world);
    const [c, d] = await world.connect();
    b.onNews = () => {
      throw new Error('news');
    };
    a.write(payload(1, 10));
    c.write(payload(2, 10));
    await world.time.pass(10);
    expect(d.read().equals(payload(2, 10))).toBe(true);
    expect(b.read().equals(payload(1, 10))).toBe(true);
    world.server.group.elements.take(16384, world.time.now(), () => {
      throw new Error('an element');
    });
    for (const end of [a, b, c, d]) end.setState(CONN_STATE.closed);
    await world.time.until(() => world.peers.every(({ removed }) => removed === 2), 10_000, 'the close');
    await world.time.pass(1);
    expect(errors.map((error) => (error as Error).message)).toEqual(expect.arrayContaining(['news', 'an element']));
    await world.finish();
  });

  it('has finished when everything is released, whoever asks', async () => {
    const world = new World({ seed: 1 });
    await connected(world);
    // Two RMBs and three send buffers: two that released them in turns would not be done at the same time.
    await world.connect();
    await world.connect();
    const { driver, group, contexts } = world.client;
    group.end(0x00030000, true);
    for (const context of contexts) context.controlTime = 5;
    let first = false;
    void driver.finished().then(() => (first = true));
    await world.time.until(() => contexts[0]?.pairs.size === 0, 10_000, 'the end of the queue pair');
    expect(contexts[0]?.memory.registered).toBeGreaterThan(0);
    await world.run(driver.finished());
    expect([first, contexts[0]?.memory.registered]).toEqual([true, 0]);
  });

  it('whose device its owner has closed resets its connections, and throws nothing', async () => {
    const errors = uncaught();
    const world = new World({ seed: 1 });
    const [a, b] = await connected(world);
    a.write(payload(1, 10));
    for (const context of world.client.contexts) await world.run(context.close());
    a.write(payload(1, 10, 10));
    await world.time.until(() => a.reset && b.reset, 60_000, 'the reset');
    await world.run(world.client.driver.finished(), 10_000, 'the release of everything');
    // A turn of the loop, in which rejections without a handler are told.
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual([]);
  });
});

describe('a peer that writes where it must not', () => {
  /** An RDMA WRITE of this peer's own, `offset` bytes from the beginning of the RMB that it writes for the connection of `end`. */
  function strike({ peer, member }: SimulatedEnd, offset: number, length: number): void {
    const [context] = peer.contexts;
    const [pair] = context?.pairs ?? [];
    const told = member.peer.rtoken.get(member.link);
    if (context === undefined || pair === undefined || told === undefined) throw new Error('nothing to write with');
    const source = context.memory.allocate(pair.domain, length, false);
    source.bytes.fill(0xee);
    const words = new Uint32Array(SEND_WR.words);
    const put = (at: number, address: bigint): void => {
      words[at] = Number(address & 0xffffffffn);
      words[at + 1] = Number(address >> 32n);
    };
    words.set([0, OPCODE.rdmaWrite]);
    put(SEND_WR.localLow, source.address);
    words[SEND_WR.length] = length;
    words[SEND_WR.lkey] = source.lkey;
    put(SEND_WR.remoteLow, told.address + BigInt(offset));
    words[SEND_WR.rkey] = told.rkey;
    pair.postSend(words, 1);
  }

  it.each([
    ['before the RMB', -1, 1],
    ['across its end', 16_384 - 4, 8],
    ['far behind it', 1 << 30, 64],
  ])('%s loses the link by its adapter, and neither side a byte', async (_where, offset, length) => {
    const [world, ends] = await twoLinks(2, 1);
    const transfers = transfersOf(ends, 60_000, 60_000);
    await world.time.pass(0.3);
    strike(ends[0], offset, length);
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the transfers');
    expect(world.peers.map((peer) => peer.group.links.some(({ number }) => number === 1))).toEqual([false, false]);
  });

  it('anywhere in its element, all the time, is told by nothing but its cursors, and harms no other connection', async () => {
    const [world, ends] = await twoLinks(2, 1);
    const other = await world.connect();
    const transfers = transfersOf(other, 60_000, 60_000);
    const [a, b] = ends;
    let told = 0;
    for (let i = 0; i < 200; i++) {
      if (i % 2 === 0) told += a.write(payload(1, 100 + i));
      strike(a, world.fabric.random.integer(0, 16_000), world.fabric.random.integer(1, 384));
      await world.time.pass(1);
      expect(b.rx.available()).toBe(Math.min(told, 16_384));
      expect(b.rx.violated).toBe(false);
      if (i % 40 === 39) expect(b.read()).toHaveLength(Math.min(told, 16_384));
      if (i % 40 === 39) told = 0;
    }
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the other connection');
    expect(world.peers.map((peer) => peer.activeLinks())).toEqual([2, 2]);
  });
});
