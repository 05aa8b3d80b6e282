// link-group.test.ts - what two loops share: hello, connections in slots, rings used again, news to the right one, and
// the end of it all.

import { CONN_STATE } from '@smcjs/core/backend';
import { expect, it } from 'vitest';
import { Hub } from '../dist/hub.js';
import { LinkGroup } from '../dist/link-group.js';
import { CAPACITY, close, type End, linkPair, send, uid, withDirectory } from './link-pair.js';
import { addon, descriptors, describeNative, mappings, turns, unixPair, until } from './support.js';

const CLOSED = CONN_STATE.closed | CONN_STATE.sendingDone;

describeNative('a link group', () => {
  it('begins when both have said hello', async () => {
    const { server, client } = await linkPair();
    expect([server.lost, client.lost, server.full, client.full]).toEqual([false, false, false, false]);
    expect(server.peerInstance?.length).toBe(16);
    expect(server.peerInstance).not.toEqual(client.peerInstance);
  });

  it('is not made with the process of another user', () => {
    const [dialled, accepted] = withDirectory(unixPair);
    const group = new LinkGroup(addon, new Hub(addon), Buffer.alloc(16), { onLost: () => {} });
    expect(group.start(dialled, (peer) => peer === uid + 1)).toBe('foreign');
    group.end();
    addon.closeDescriptor(accepted);
  });

  it('carries bytes both ways and brings news of them', async () => {
    const { connect } = await linkPair();
    const [server, client] = await connect();
    send(server, 'to the client');
    await until(() => client.news > 0);
    expect(client.text()).toBe('to the client');
    send(client, 'to the server');
    await until(() => server.news > 0);
    expect(server.text()).toBe('to the server');
  });

  it('opens no descriptor for a further connection', async () => {
    const { connect } = await linkPair();
    await connect();
    const before = descriptors();
    for (let i = 0; i < 100; i++) await connect();
    expect(descriptors()).toEqual(before);
  });

  it('uses the rings of closed connections again: 200 after each other take one', async () => {
    const { connect, server, client, names } = await linkPair();
    for (const end of await connect()) close(end, CLOSED);
    await until(() => server.used + client.used === 0);
    const before = [descriptors(), mappings().length];
    for (let i = 0; i < 200; i++) {
      const [mine, theirs] = await connect();
      send(mine, `connection ${i}`);
      await until(() => theirs.news > 0);
      expect(theirs.text()).toBe(`connection ${i}`);
      expect(mine.channel.rx.available()).toBe(0);
      close(theirs, CLOSED);
      await until(() => mine.channel.rx.state() !== 0);
      close(mine, CLOSED);
      await until(() => server.used + client.used === 0);
    }
    expect(names.size).toBe(1);
    expect([descriptors(), mappings().length]).toEqual(before);
  });

  it('keeps a ring until both sides have closed', async () => {
    const { connect, server, names } = await linkPair();
    const [mine, theirs] = await connect();
    close(mine, CLOSED);
    await turns();
    expect(server.used).toBe(1);
    const [second] = await connect();
    expect(names.size).toBe(2);
    // Until it has closed the other side may write: nobody else may have that ring.
    send(theirs, 'late');
    expect(second.channel.rx.available()).toBe(0);
    close(theirs, CLOSED);
    await until(() => server.used === 1);
    await connect();
    expect(names.size).toBe(2);
  });

  it('brings news to the connection they are of, of many', async () => {
    const { connect } = await linkPair();
    const pairs: [End, End][] = [];
    for (let i = 0; i < 150; i++) pairs.push(await connect());
    for (let round = 0; round < 5; round++) {
      for (const [i, [mine]] of pairs.entries()) if (i % 7 === round) send(mine, `${i}`);
      await until(() => pairs.every(([, theirs], i) => i % 7 !== round || theirs.news > 0));
      for (const [i, [, theirs]] of pairs.entries()) expect(theirs.text()).toBe(i % 7 === round ? `${i}` : '');
      for (const [, theirs] of pairs) theirs.news = 0;
    }
  });

  it('brings all news when there are more than places for tokens', async () => {
    const { connect } = await linkPair();
    const pairs: [End, End][] = [];
    for (let i = 0; i < 400; i++) pairs.push(await connect());
    // In one turn of the loop, so that none is taken in between; each is told again although it waits.
    for (let i = 0; i < 3; i++) {
      for (const [mine] of pairs) {
        mine.channel.setBusyPoll('off');
        send(mine, `${i}`);
      }
    }
    await until(() => pairs.every(([, theirs]) => theirs.news > 0));
    for (const [, theirs] of pairs) expect(theirs.text()).toBe('012');
  });

  it('takes 1,024 connections and not one more', async () => {
    const { server, connect } = await linkPair();
    const reservations = Array.from({ length: 1024 }, () => server.reserve(CAPACITY));
    expect(reservations.every((reservation) => reservation !== undefined)).toBe(true);
    expect([server.full, server.reserve(CAPACITY)]).toEqual([true, undefined]);
    server.unreserve(reservations[500] as NonNullable<(typeof reservations)[0]>);
    expect(server.full).toBe(false);
    await connect();
    expect(server.full).toBe(true);
  });

  it('takes many in one turn: offers, and the segments they need, wait for room in the queue of the peer', async () => {
    const { connect } = await linkPair();
    await connect();
    const before = descriptors();
    const ends = await Promise.all(Array.from({ length: 700 }, connect));
    for (const [i, [mine]] of ends.entries()) send(mine, `connection ${i}`);
    await until(() => ends.every(([, theirs]) => theirs.news > 0));
    expect(ends.map(([, theirs]) => theirs.text())).toEqual(ends.map((_, i) => `connection ${i}`));
    expect(descriptors()).toEqual(before);
  });

  it('counts its connections on both sides', async () => {
    const { server, client, connect } = await linkPair();
    const [mine, theirs] = await connect();
    expect([server.used, client.used]).toEqual([1, 1]);
    const reservation = client.reserve(CAPACITY);
    expect(client.used).toBe(2);
    client.unreserve(reservation as NonNullable<typeof reservation>);
    close(mine, CLOSED);
    close(theirs, CLOSED);
    await until(() => server.used + client.used === 0);
    expect(client.used).toBe(0);
  });

  it('tells who waits for an answer that there is none, once', async () => {
    const { server, client } = await linkPair();
    const answers: unknown[] = [];
    const ask = (token: bigint) =>
      server.offer(
        { tuple: Buffer.alloc(36), syn: undefined },
        token,
        { slot: 0, element: { name: { segment: 77, index: 0 } } } as never,
        (answer) => answers.push(answer),
      );
    expect(ask(1n)).toBe(true); // there is no such element
    await until(() => answers.length > 0);
    ask(2n);
    server.end();
    expect(answers).toEqual([undefined, undefined]);
    expect(ask(3n)).toBe(false);
    await until(() => client.lost);
    expect(answers).toHaveLength(2);
  });
});

describeNative('the end of a link group', () => {
  for (const side of ['server', 'client'] as const) {
    it(`is told to every connection when the ${side} ends it, and loses no published byte`, async () => {
      const { server, client, lost, connect } = await linkPair();
      const pairs = [await connect(), await connect()];
      for (const [mine, theirs] of pairs) {
        send(mine, 'last words');
        send(theirs, 'last words');
      }
      (side === 'server' ? server : client).end();
      await until(() => lost.server && lost.client);
      for (const end of pairs.flat()) {
        await until(() => end.lost);
        expect(end.text()).toBe('last words');
      }
    });
  }

  for (const side of ['server', 'client'] as const) {
    it(`before a connection is opened, by the ${side}, is told like one behind it`, async () => {
      const { server, client, connect, connectLate } = await linkPair();
      const [early] = await connect();
      const [open, theirs] = await connectLate();
      send(theirs, 'last words');
      close(theirs, CLOSED);
      (side === 'server' ? server : client).end();
      await until(() => server.lost && early.lost);
      const late = open();
      await until(() => late.lost);
      expect([early.broken, late.broken]).toEqual(side === 'server' ? [true, true] : [false, false]);
      expect([late.text(), late.channel.rx.state()]).toEqual(['last words', CLOSED]);
    });
  }

  it('leaves nothing mapped and no descriptor when the last connection has closed', async () => {
    const before = [descriptors(), mappings().length];
    const { server, client, connect } = await linkPair();
    const pairs = [await connect(), await connect()];
    server.end();
    await until(() => client.lost);
    for (const end of pairs.flat()) {
      expect(mappings().length).toBeGreaterThan(before[1] as number);
      close(end, CLOSED);
    }
    expect(mappings().length).toBe(before[1]);
    await turns();
    expect(descriptors()).toEqual(before[0]);
  });

  it('comes when the peer does not take its messages', async () => {
    const before = descriptors();
    const [dialled, accepted] = withDirectory(unixPair);
    let told = 0;
    const group = new LinkGroup(addon, new Hub(addon), Buffer.alloc(16), {
      onLost: () => {
        told++;
      },
    });
    expect(group.start(dialled, (peer) => peer === uid)).toBe(true);
    let sent = 0;
    while (sent < 100_000 && !group.lost) {
      group.refuse(BigInt(sent++));
      if (sent % 100 === 0) await turns(1);
    }
    expect([group.lost, told]).toEqual([true, 1]);
    expect(sent).toBeGreaterThan(100);
    addon.closeDescriptor(accepted);
    await turns();
    expect(descriptors()).toEqual(before);
  });
});
