// group.test.ts - link groups over simulated RDMA: first contact, more connections, data, close, the end.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { CDC_FLAG, emptyCdc } from '../src/cdc/index.js';
import { NEWS } from '../src/connection/index.js';
import { ASK_AGAIN, type Link, MOST_QUESTIONS } from '../src/group/index.js';
import { encodeLlc, encodePeerQuestion, KNOWN } from '../src/llc/index.js';
import { payload } from '../../../test/support/random.js';
import { Transfer, World } from './simulated/peers.js';

const K = 1024;
const both = { devices: 1 };

describe('two peers', () => {
  it('establish a link and move bytes both ways, and release everything', async () => {
    const world = new World({ seed: 1 }, both);
    const ends = await world.firstContact();
    expect(ends).toBeDefined();
    const [a, b] = ends as NonNullable<typeof ends>;
    const transfers = [new Transfer(a, b, 1, 300 * K), new Transfer(b, a, 2, 200 * K)];
    for (const transfer of transfers) transfer.pump();
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the transfer');
    a.setState(CONN_STATE.closed);
    b.setState(CONN_STATE.closed);
    await world.time.until(() => world.peers.every(({ removed }) => removed === 1), 10_000, 'the close');
    await world.finish();
    expect(world.peers.map(({ memoryRegistered, contexts }) => [memoryRegistered, contexts.map(({ pairs }) => pairs.size)])).toEqual([
      [0, [0]],
      [0, [0]],
    ]);
    expect(world.peers.flatMap(({ contexts }) => contexts.flatMap(({ queues }) => queues.map(({ overrun }) => overrun)))).not.toContain(
      true,
    );
  });

  it.each([1, 2] as const)('have a second link if they agreed on two, version %i', async (version) => {
    const world = new World({ seed: 2 }, { devices: 2, maxLinks: 2, version });
    expect(await world.firstContact()).toBeDefined();
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const gids = world.peers.map(({ group }) => group.links.map(({ own }) => Buffer.from(own?.gid ?? []).toString('hex')));
    for (const own of gids) expect(new Set(own).size).toBe(2);
  });

  it('with a second device at one end only, have a link that is asymmetric there', async () => {
    const world = new World({ seed: 2 }, { devices: 1, maxLinks: 2 }, { devices: 2, maxLinks: 2 });
    expect(await world.firstContact()).toBeDefined();
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
  });

  it('with one device each, have one link: the client rejects a second one between the same ends', async () => {
    const world = new World({ seed: 2 }, { devices: 1, maxLinks: 2 });
    expect(await world.firstContact()).toBeDefined();
    await world.time.pass(10_000);
    expect(world.peers.map((peer) => [peer.activeLinks(), peer.group.links.length, peer.group.flows.running])).toEqual([
      [1, 1, undefined],
      [1, 1, undefined],
    ]);
  });

  it('use one link group for up to the agreed number of connections, with few RMBs', { timeout: 60_000 }, async () => {
    const world = new World({ seed: 5 }, { maxConns: 40 });
    const pairs = [await world.firstContact()];
    while (world.server.group.hasRoom) pairs.push(await world.connect());
    expect(pairs).toHaveLength(40);
    expect(world.peers.map(({ group }) => group.elements.rmbs.all.map(({ elements }) => elements))).toEqual([
      [1, 4, 16, 64],
      [1, 4, 16, 64],
    ]);
    expect(world.peers.map(({ group }) => group.rtokens.size)).toEqual([4, 4]);
    const transfers = pairs.flatMap((ends, i) => {
      const [a, b] = ends as NonNullable<typeof ends>;
      return [new Transfer(a, b, i, 20 * K), new Transfer(b, a, 1000 + i, 20 * K)];
    });
    for (const transfer of transfers) transfer.pump();
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the transfers');
  });

  it('lose nothing that comes before the Confirm has been read: RDMA is quicker than TCP', async () => {
    const world = new World({ seed: 6 });
    await world.firstContact();
    const [client, server] = await world.connect(16 * K, async (end) => {
      for (let i = 0; i < 20; i++) {
        end.write(payload(1, 100, 100 * i));
        await world.time.pass(1);
      }
    });
    await world.time.pass(1);
    expect([server.news & NEWS.data, server.read().equals(payload(1, 2000))]).toEqual([NEWS.data, true]);
    server.write(Buffer.from('answer'));
    await world.time.pass(10);
    expect(client.read().toString()).toBe('answer');
  });

  it('use an element again only when both have closed', async () => {
    const world = new World({ seed: 6 });
    const [a, b] = (await world.firstContact()) ?? [];
    const rmb = a?.member.element.rmb;
    a?.setState(CONN_STATE.closed);
    await world.time.pass(100);
    expect([a?.state, rmb?.used]).toEqual(['peerCloseWait1', 1]);
    b?.setState(CONN_STATE.closed);
    await world.time.pass(100);
    expect([a?.state, rmb?.used]).toEqual(['closed', 0]);
    const [again] = await world.connect();
    expect(again.member.element).toEqual({ rmb, index: 1 });
  });

  it('never use an element again whose peer did not say that it writes no more: its RMB is taken back', async () => {
    const world = new World({ seed: 6 });
    const [a] = (await world.firstContact()) ?? [];
    const { client, server } = world;
    // The server's side of the connection hangs; its link lives.
    server.group.receivedCdc = () => undefined;
    a?.setState(CONN_STATE.closed);
    await world.time.pass(59_000);
    expect([a?.state, a?.member.element.rmb.used]).toEqual(['peerCloseWait1', 1]);
    expect(server.group.rtokens.size).toBe(1);
    await world.time.pass(2000);
    expect([a?.state, client.group.elements.rmbs.all, server.group.rtokens.size]).toEqual(['closed', [], 0]);
  });

  it.each([1, 20, 100])('lose nothing when %i of 1000 packets get lost', async (loss) => {
    const world = new World({ seed: loss, loss });
    const ends = await world.firstContact();
    const [a, b] = ends as NonNullable<typeof ends>;
    const transfers = [new Transfer(a, b, 1, 100 * K), new Transfer(b, a, 2, 100 * K)];
    for (const transfer of transfers) transfer.pump();
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the transfer');
  });

  it('bear completions that come late, and receivers that have nothing posted for a while', async () => {
    const world = new World({ seed: 9 });
    for (const context of world.server.contexts) context.completionDelay = 3;
    const pairs = [await world.firstContact()];
    for (let i = 0; i < 9; i++) pairs.push(await world.connect());
    // The server is slow to post its 48 receives again; 10 connections share the 16 send slots of the client.
    for (let round = 0; round < 100; round++) {
      for (const [i, ends] of pairs.entries()) ends?.[0].write(payload(i, 10, 10 * round));
      await world.time.pass(0.01);
    }
    expect(world.fabric.notReady).toBeGreaterThan(0);
    await world.time.until(() => pairs.every((ends) => ends?.[1].rx.available() === 1000), 60_000, 'the last bytes');
    pairs.forEach((ends, i) => {
      expect(ends?.[1].read().equals(payload(i, 1000))).toBe(true);
    });
  });

  it('open connections from both sides while a link is being added', async () => {
    const world = new World({ seed: 10, latency: [0.5, 1] }, { devices: 2, maxLinks: 2 });
    const pairs = [await world.firstContact()];
    // ADD LINK and CONFIRM RKEY of both sides cross.
    for (let i = 0; i < 6; i++) pairs.push(await world.connect());
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    for (const { group } of world.peers) {
      for (const { rtoken } of [...group.members.values()].map(({ peer }) => peer)) expect(rtoken.size).toBe(2);
    }
    const transfers = pairs.map((ends, i) => new Transfer(...(ends as NonNullable<typeof ends>), i, 30 * K));
    world.fabric.cut(world.client.gid(0));
    for (const transfer of transfers) transfer.pump();
    await world.time.until(() => transfers.every(({ done }) => done), 60_000, 'the transfers');
  });
});

describe('a first contact', () => {
  it('without CONFIRM LINK is declined by both with its code', async () => {
    const world = new World({ seed: 1 });
    const ends = await world.firstContact(16384, (step) => step === 'confirm' && world.fabric.cut(world.server.gid(0)));
    expect(ends).toBeUndefined();
    await world.time.pass(5000);
    expect(world.peers.map(({ failed }) => failed)).toEqual([0x02010000, 0x02010000]);
    await world.run(Promise.all(world.peers.map(({ driver }) => driver.finished())));
    expect(world.peers.map(({ memoryRegistered }) => memoryRegistered)).toEqual([0, 0]);
  });

  it('on a device that is gone is declined at once', async () => {
    const world = new World({ seed: 1 });
    await world.run(Promise.all(world.peers.map((peer) => peer.open())));
    for (const context of world.server.contexts) context.broken = true;
    world.server.found(world.client.local.peerId, { version: 2, eid: 'TEST', release: 1, maxConns: 16, maxLinks: 1 });
    world.server.group.start(world.time.now());
    await world.time.until(() => world.server.failed !== undefined, 1000, 'the failure');
    expect(world.server.failed).toBe(0x03030002);
  });
});

describe('a further contact', () => {
  it('is for the same peer and device, as long as there is room', async () => {
    const world = new World({ seed: 1 }, { maxConns: 16 });
    await world.firstContact();
    const { client, server } = world;
    const gid = client.gid(0);
    expect(server.registry.forProposal(client.local.peerId, gid)).toBe(server.group);
    expect(server.registry.forProposal(server.local.peerId, gid)).toBeUndefined();
    expect(server.registry.forProposal(client.local.peerId, client.gid(1))).toBeUndefined();
    expect(client.registry.forProposal(server.local.peerId, server.gid(0))).toBeUndefined();
    const qp = server.group.links[0]?.own?.qpNumber as number;
    expect(client.registry.forAccept(server.local.peerId, server.gid(0), qp)?.group).toBe(client.group);
    expect(client.registry.forAccept(server.local.peerId, server.gid(0), qp + 1)).toBeUndefined();
    expect(client.registry.forAccept(server.local.peerId, server.gid(0).with(15, 99), qp)).toBeUndefined();
    for (let i = 1; i < 16; i++) await world.connect();
    expect(server.registry.forProposal(client.local.peerId, gid)).toBeUndefined();
  });

  it('that the client declines as out of sync ends the group with its connections', async () => {
    const world = new World({ seed: 1 });
    const ends = await world.firstContact();
    world.server.registry.outOfSync(world.server.group);
    await world.time.pass(1000);
    expect(ends?.map((end) => end.reset)).toEqual([true, true]);
    expect(world.peers.map(({ registry }) => registry.size)).toEqual([0, 0]);
  });
});

describe('an idle link', () => {
  it('is tested after 30 s and lives', async () => {
    const world = new World({ seed: 1 });
    await world.firstContact();
    const before = world.fabric.requests;
    await world.time.pass(29_000);
    expect(world.fabric.requests).toBe(before);
    await world.time.pass(100_000);
    expect(world.fabric.requests).toBeGreaterThan(before);
    expect(world.peers.map((peer) => peer.activeLinks())).toEqual([1, 1]);
  });

  it('whose peer is gone is given up by TEST LINK', async () => {
    const world = new World({ seed: 1 });
    const ends = await world.firstContact();
    // The process is dead, its adapter still answers: nothing but TEST LINK shows it.
    world.server.group.receivedLlc = () => undefined;
    world.server.group.tick = () => undefined;
    await world.time.pass(31_500);
    expect(world.client.ended).toBeUndefined();
    await world.time.pass(2000);
    expect(world.client.ended).toBe(0x00010000);
    expect(ends?.[0].reset).toBe(true);
  });

  it('that is suspected is tested at once', async () => {
    const world = new World({ seed: 1 });
    await world.firstContact();
    const before = world.fabric.requests;
    world.client.group.links[0]?.suspect();
    await world.time.pass(1000);
    expect(world.fabric.requests).toBe(before + 2);
  });
});

describe('a connection whose TCP connection ended without a close', () => {
  type Ends = NonNullable<Awaited<ReturnType<World['firstContact']>>>;

  it('goes on if the peer has it', async () => {
    const world = new World({ seed: 1 });
    const [first, other] = (await world.firstContact()) as Ends;
    for (const { peer, member } of [first, other]) peer.driver.suspect(member, true);
    await world.time.pass(1000);
    expect(world.peers.map(({ group }) => group.doubts.deadline)).toEqual([Infinity, Infinity]);
    expect([first.reset, other.reset]).toEqual([false, false]);
    const transfer = new Transfer(first, other, 1, 100 * K);
    transfer.pump();
    await world.time.until(() => transfer.done, 10_000, 'the transfer');
  });

  it('is reset if the peer does not have it, and no other one', async () => {
    const world = new World({ seed: 1 });
    const [first] = (await world.firstContact()) as Ends;
    await world.connect(16384, async (second) => {
      for (const { member } of [first, second]) world.client.driver.suspect(member, true);
      // Its Confirm may still come: for so long nothing is said.
      await world.time.pass(2 * ASK_AGAIN);
      expect([first.reset, second.reset]).toEqual([false, false]);
      // The server gives up.
      world.server.group.forget(second.member.connection.peerToken);
      await world.time.pass(ASK_AGAIN + 1000);
      expect([first.reset, second.reset]).toEqual([false, true]);
      expect(world.client.group.state).toBe('active');
      second.setState(CONN_STATE.closed);
      await world.time.until(() => world.client.removed === 1, 10_000, 'its removal');
    });
  });

  it('is reset also if a stall guard has sent the question back before the loop could answer it', async () => {
    const world = new World({ seed: 1 });
    const [first] = (await world.firstContact()) as Ends;
    const { server } = world;
    const receive = server.group.receivedLlc.bind(server.group);
    server.group.receivedLlc = (link, bytes, now) => {
      const request = bytes[0] === 0x27 && bytes[3] === 0;
      if (request) server.driver.send(link, bytes.with(3, 0x80));
      receive(link, bytes, now, request);
    };
    await world.connect(16384, async (second) => {
      server.group.forget(second.member.connection.peerToken);
      for (const { member } of [first, second]) world.client.driver.suspect(member, true);
      await world.time.pass(1000);
      expect([first.reset, second.reset]).toEqual([false, true]);
      expect(world.client.group.doubts.deadline).toBe(Number.POSITIVE_INFINITY);
    });
  });

  it('is asked for one after the other, when there are many, as soon as there is an answer', async () => {
    const world = new World({ seed: 1 });
    const ends = [(await world.firstContact()) as Ends];
    for (let i = 0; i < 99; i++) ends.push(await world.connect());
    for (const [{ member }] of ends) world.client.driver.suspect(member, true);
    await world.time.pass(1000);
    expect(world.client.group.doubts.deadline).toBe(Number.POSITIVE_INFINITY);
    expect(ends.filter(([end]) => end.reset)).toEqual([]);
  });

  it('is not taken from it by answers that nobody asked for, nor by a flood of questions', async () => {
    const world = new World({ seed: 1 });
    const [end, other] = (await world.firstContact()) as Ends;
    const { group } = world.server;
    const token = end.member.connection.peerToken;
    const tell = (response: boolean, known: number, about: number) => {
      const userData = encodePeerQuestion({ known, token: about });
      group.send(group.links[0] as Link, { type: 'test-link', version: 2, response, userData });
    };
    for (const known of Object.values(KNOWN)) tell(true, known, token);
    for (let i = 0; i < 100; i++) tell(false, KNOWN.question, i);
    await world.time.pass(1000);
    // About another one than was asked for.
    world.client.driver.suspect(end.member, true);
    tell(true, KNOWN.gone, token + 1);
    await world.time.pass(1000);
    expect([end.reset, other.reset, world.client.group.state]).toEqual([false, false, 'active']);
    const transfer = new Transfer(end, other, 1, 100 * K);
    transfer.pump();
    await world.time.until(() => transfer.done, 10_000, 'the transfer');
  });

  it('is asked for over the link that is left', async () => {
    const world = new World({ seed: 1 }, { devices: 2, maxLinks: 2 });
    await world.firstContact();
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const made = world.connect(16384, async (end) => {
      world.server.group.forget(end.member.connection.peerToken);
      world.client.driver.suspect(end.member, true);
      world.client.group.linkFailed(end.member.link, world.time.now());
      await world.time.pass(ASK_AGAIN + 1000);
      expect(end.reset).toBe(true);
      expect(world.client.group.state).toBe('active');
    });
    await expect(made).rejects.toThrow('the link of the server is down');
  });

  interface Case {
    readonly fin?: boolean;
    readonly fails?: boolean;
    readonly silent?: boolean;
    readonly full?: boolean;
    readonly told?: boolean;
    /** We are shut down, and TCP is as it was. */
    readonly half?: boolean;
    /** The peer says that it has moved. */
    readonly validated?: boolean;
  }

  it.each<[string, Case, boolean]>([
    ['is reset when its close was lost with a link, by a peer that does not repeat it', {}, true],
    ['goes on when TCP ended by RST: that may be somebody on the way', { fin: false }, false],
    ['goes on when no link has failed', { fails: false }, false],
    ['goes on when the peer has been heard over the other link', { silent: false }, false],
    ['goes on when the peer may wait for room', { full: true }, false],
    ['goes on when the peer has told its end: that explains the FIN', { told: true }, false],
    [
      'is reset when it is shut down and its peer silent: it may have lost all that it had underway, and wait for ever',
      { half: true },
      true,
    ],
    ['goes on when it is shut down and its peer is heard over the other link', { half: true, silent: false }, false],
    ['goes on when it is shut down and its peer has moved in order: it repeats what was lost', { half: true, validated: true }, false],
    ['goes on when it is shut down and no link has failed', { half: true, fails: false }, false],
    ['goes on when it is shut down, and its peer, too', { half: true, told: true }, false],
  ])('%s', async (_name, how, reset) => {
    const { fin = true, fails = true, silent = true, full = false, told = false, half = false, validated = false } = how;
    const world = new World({ seed: 1 }, { devices: 2, maxLinks: 2 });
    const [end, other] = (await world.firstContact()) as Ends;
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const { client, server } = world;
    if (full) {
      // All of the RMBE, as the kernel takes it: also what is kept for probes.
      while (other.write(new Uint8Array(1024)) > 0) await world.time.pass(10);
      while (end.member.connection.receiving.roomTold) {
        other.member.connection.unheard();
        server.driver.transmit(other.member);
        await world.time.pass(10);
      }
    }
    if (told) {
      other.setState(CONN_STATE.sendingDone);
      await world.time.pass(1000);
    }
    // As the kernel does.
    server.group.send = (link, message) => {
      server.driver.send(link, encodeLlc(message.type === 'test-link' ? { ...message, userData: message.userData.with(8, 0) } : message));
    };
    if (silent) server.driver.transmit = () => {};
    if (half) end.setState(CONN_STATE.sendingDone);
    else client.driver.suspect(end.member, fin);
    if (fails) client.group.linkFailed(end.member.link, world.time.now());
    if (validated) {
      const { token, receiving } = end.member.connection;
      const message = { ...emptyCdc(), token, sequence: receiving.sequence, flags: CDC_FLAG.failoverValidation };
      client.group.receivedCdc(client.group.links[0] as Link, message, () => world.time.now());
    }
    await world.time.pass(ASK_AGAIN / 2);
    expect(end.reset).toBe(false);
    await world.time.pass(MOST_QUESTIONS * ASK_AGAIN);
    expect(end.reset).toBe(reset);
    expect(client.group.state).toBe('active');
  });

  it('goes on with a peer that cannot say, and is asked for some times only', async () => {
    const world = new World({ seed: 1 });
    const [end, other] = (await world.firstContact()) as Ends;
    let questions = 0;
    const { server } = world;
    // As the kernel does, or the stall guard of a loop that stands still.
    server.group.send = (link, message) => {
      if (message.type === 'test-link' && message.userData[0] !== 0) questions++;
      const asked = message.type === 'test-link' ? { ...message, userData: message.userData.with(8, 0) } : message;
      server.driver.send(link, encodeLlc(asked));
    };
    world.client.driver.suspect(end.member, true);
    await world.time.pass((MOST_QUESTIONS + 3) * ASK_AGAIN);
    expect(questions).toBe(MOST_QUESTIONS);
    expect(world.client.group.doubts.deadline).toBe(Number.POSITIVE_INFINITY);
    expect([end.reset, other.reset]).toEqual([false, false]);
  });
});

describe('a failover validation', () => {
  it('takes the link down that the peer has left: nothing may land there any more', async () => {
    const world = new World({ seed: 1 }, { devices: 2, maxLinks: 2 });
    const ends = (await world.firstContact()) as NonNullable<Awaited<ReturnType<World['firstContact']>>>;
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const { group } = world.server;
    const [first, second] = group.links as [Link, Link];
    const { token } = ends[1].member.connection;
    const validation = { ...emptyCdc(), token, sequence: 0, flags: CDC_FLAG.failoverValidation };
    group.receivedCdc(second, validation, () => world.time.now());
    expect([group.links, first.state, ends[1].member.link, ends[1].member.peerLink]).toEqual([[second], 'down', second, second]);
    // Another one for the same link changes nothing.
    group.receivedCdc(second, validation, () => world.time.now());
    expect(group.links).toEqual([second]);
  });

  it('and what it brings wait until the failed queue pair is in ERROR', async () => {
    const world = new World({ seed: 1 }, { devices: 2, maxLinks: 2 });
    const [a, b] = (await world.firstContact()) as NonNullable<Awaited<ReturnType<World['firstContact']>>>;
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const { group, contexts } = world.client;
    for (const context of contexts) context.controlTime = 50;
    group.linkFailed(group.links[0] as Link, world.time.now());
    a.write(payload(1, 100));
    await world.time.pass(45);
    expect(b.rx.available()).toBe(0);
    await world.time.pass(10);
    expect(b.rx.available()).toBe(100);
  });
});

describe('a device', () => {
  it('that tells of an error takes its link down at once, and no other', async () => {
    const world = new World({ seed: 1 }, { devices: 2, maxLinks: 2 });
    const ends = (await world.firstContact()) as NonNullable<Awaited<ReturnType<World['firstContact']>>>;
    await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
    const { driver, group, contexts } = world.client;
    const [first, second] = group.links;
    driver.deviceEvent(contexts[0] as (typeof contexts)[0], { type: 'port-error', port: 2 });
    driver.deviceEvent(contexts[0] as (typeof contexts)[0], { type: 'qp-fatal', qpNumber: second?.own?.qpNumber as number });
    expect(group.links).toEqual([first, second]);
    driver.deviceEvent(contexts[0] as (typeof contexts)[0], { type: 'port-error', port: 1 });
    expect(group.links).toEqual([second]);
    const transfer = new Transfer(...ends, 1, 50 * K);
    transfer.pump();
    await world.time.until(() => transfer.done, 10_000, 'the transfer');
  });
});

describe('a link group', () => {
  it('without connections is ended by the server after 600 s', async () => {
    const world = new World({ seed: 1 });
    const [a, b] = (await world.firstContact()) ?? [];
    a?.setState(CONN_STATE.closed);
    b?.setState(CONN_STATE.closed);
    await world.time.pass(599_000);
    expect(world.peers.map(({ ended }) => ended)).toEqual([undefined, undefined]);
    await world.time.pass(2000);
    expect(world.peers.map(({ ended }) => ended)).toEqual([0x00030000, 0x00030000]);
  });

  it('is ended by an LLC message that is none', async () => {
    const world = new World({ seed: 1 });
    const ends = await world.firstContact();
    const [link] = world.client.group.links;
    world.client.driver.send(link as NonNullable<typeof link>, Buffer.from(`25${'ff'.repeat(43)}`, 'hex'));
    await world.time.pass(1000);
    expect(world.peers.map(({ ended }) => ended)).toEqual([0x00040000, 0x00040000]);
    expect(ends?.every((end) => end.reset)).toBe(true);
  });

  it('whose peer told a wrong rkey loses the link at the first write, and both ends are reset', async () => {
    const world = new World({ seed: 1 });
    const [a, b] = (await world.firstContact()) as NonNullable<Awaited<ReturnType<World['firstContact']>>>;
    const { link, peer } = a.member;
    peer.rtoken.set(link, { rkey: 0xdead, address: peer.rtoken.get(link)?.address ?? 0n });
    a.write(payload(1, 10));
    await world.time.until(() => a.reset && b.reset, 10_000, 'the reset');
    expect([b.rx.available(), world.peers.map(({ ended }) => ended)]).toEqual([0, [0x00010000, 0x00010000]]);
  });

  it('does not mind what is shorter than any message', async () => {
    const world = new World({ seed: 1 });
    await world.firstContact();
    for (const bytes of [[7], Array(43).fill(0x27), [0xfe], Array(25).fill(0xfe)]) {
      world.client.driver.send(world.client.group.links[0] as Link, Uint8Array.from(bytes));
    }
    await world.time.pass(1000);
    expect(world.peers.map((peer) => peer.activeLinks())).toEqual([1, 1]);
  });

  it('whose queue pair takes no more requests fails over, or is reset', async () => {
    for (const devices of [1, 2]) {
      const world = new World({ seed: 1 }, { devices, maxLinks: devices });
      const ends = (await world.firstContact()) as NonNullable<Awaited<ReturnType<World['firstContact']>>>;
      await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === devices), 10_000, 'the links');
      for (const pair of world.client.contexts[0]?.pairs ?? []) {
        pair.postSend = () => {
          throw new Error('ibv_post_send EINVAL');
        };
      }
      const transfer = new Transfer(...ends, 1, 50 * K);
      transfer.pump();
      // Where it was the only link, the other side has to find out by TEST LINK.
      await world.time.until(() => transfer.done || ends.every((end) => end.reset), 60_000, 'what becomes of it');
      expect([devices, transfer.done]).toEqual([devices, devices === 2]);
    }
  });

  it('does not keep answers without end for a peer that asks and takes none', async () => {
    const world = new World({ seed: 1 });
    await world.firstContact();
    const { driver, group, contexts } = world.server;
    for (const pair of contexts[0]?.pairs ?? []) pair.postReceive = (_, count) => count;
    const test = Buffer.from(`272c00${'00'.repeat(41)}`, 'hex');
    test.writeUInt16LE(44, 1);
    for (let i = 0; i < 500 && world.client.ended === undefined; i++) {
      driver.send(group.links[0] as Link, test);
      await world.time.pass(0.1);
    }
    expect(world.client.ended).toBe(0x00010000);
  });

  it('with many RMBs tells them all in ADD LINK, also where that takes long messages and many', { timeout: 60_000 }, async () => {
    for (const version of [1, 2] as const) {
      const world = new World({ seed: 4, latency: [0.2, 0.3] }, { devices: 2, maxLinks: 2, version });
      await world.firstContact();
      // Elements of different sizes are in different RMBs.
      for (const size of [16, 32, 64, 128, 256]) for (let i = 0; i < 6; i++) await world.connect(size * K);
      const [first] = world.client.group.links as [Link];
      world.client.group.linkFailed(first, world.time.now());
      await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the link after it');
      for (const { group } of world.peers) {
        expect(group.elements.rmbs.all.length).toBeGreaterThan(10);
        for (const { peer } of group.members.values()) expect(peer.rtoken.size).toBe(2);
      }
    }
  });

  it.each<[string, 1 | 2, string, boolean]>([
    ['10 in its high bits is ignored', 1, '8a', false],
    ['00 in its high bits ends a group of version 1', 1, '0a', true],
    ['a number Linux does not know either is ignored in version 2', 2, '2b', false],
  ])('that gets an unknown message with %s', async (_name, version, code, over) => {
    const world = new World({ seed: 1 }, { version });
    await world.firstContact();
    const [link] = world.client.group.links;
    world.client.driver.send(link as NonNullable<typeof link>, Buffer.from(`${code}2c${'00'.repeat(42)}`, 'hex'));
    await world.time.pass(1000);
    expect(world.server.ended !== undefined).toBe(over);
  });
});
