// hostile-client.test.ts - a client made of system calls against our server: what follows the protocol gets a ring, what
// breaks it loses its own connection, and silence costs no more than the time allowed.

import { DECISION, RingConsumer, RingProducer, WORD } from '@smcjs/core/backend';
import { beforeEach, expect, it } from 'vitest';
import type { RawClient, RawPeer } from './raw-peer.js';
import { describeNative, temporaryDirectory, turns, until } from './support.js';
import { IMPATIENT, stillServes, WatchedServer } from './watched-server.js';

process.env.SMC_RUNTIME_DIR = temporaryDirectory();

let server: WatchedServer;
beforeEach(async () => {
  server = await WatchedServer.listen();
  return () => server.close();
});

describeNative('a client that keeps to the protocol', () => {
  it('gets a ring', async () => {
    const client = await server.dialled();
    const { tx, rx } = await client.connect();
    const producer = new RingProducer(tx);
    producer.write(Buffer.from('over memory'));
    producer.publish();
    await until(() => server.connections.length > 0);
    expect(server.only().transport).toBe('smcd');
    await until(() => server.seen[0]?.text === 'over memory');
    server.only().write('answer');
    const consumer = new RingConsumer(rx);
    await until(() => consumer.available() === 6);
    expect(Buffer.from(consumer.peek() as Uint8Array).toString()).toBe('answer');
    expect(client.received.includes('answer')).toBe(false);
  });

  it('gets plain TCP when it refuses the offer', async () => {
    const client = await server.dialled();
    const { offer } = await client.offer();
    client.peer?.send({ type: 'refuse', offered: offer.token });
    client.socket.end('plain');
    await until(() => server.seen[0]?.text === 'plain' && server.seen[0].events.includes('end'));
    expect([server.only().transport, server.only().declines.find(({ transport }) => transport === 'smcd')?.reason]).toEqual([
      'tcp',
      'no-offer',
    ]);
  });
});

describeNative('a client that is silent', () => {
  beforeEach(async () => {
    server.close();
    server = await WatchedServer.listen(IMPATIENT);
    return () => server.close();
  });

  it('before hello is a plain one after a while, and all it has sent arrives', async () => {
    const client = await server.dialled();
    client.socket.write('before ');
    await turns();
    expect(server.connections).toHaveLength(0);
    client.socket.end('and after');
    await until(() => server.seen[0]?.events.includes('end') === true);
    expect([server.only().transport, server.seen[0]?.text]).toEqual(['tcp', 'before and after']);
    server.only().end('answer');
    await until(() => client.ended);
    expect(client.received.toString()).toBe('answer');
  });

  it('is not read on while it might be a plain one, however much it sends', async () => {
    const client = await server.dialled();
    const piece = Buffer.alloc(65_536, 1);
    for (let sent = 0; sent < 32 << 20; sent += piece.length) client.socket.write(piece);
    client.socket.end();
    await until(() => server.seen[0]?.events.includes('end') === true);
    expect(server.seen[0]?.readBefore).toBeLessThan(1 << 20);
    expect(server.only().bytesRead).toBe(32 << 20);
    expect(server.seen[0]?.text.length).toBe(32 << 20);
  });

  it('after the offer is a plain one after a while', async () => {
    const client = await server.dialled();
    await client.offer();
    client.socket.end('payload');
    await until(() => server.seen[0]?.events.includes('end') === true);
    expect([server.only().transport, server.seen[0]?.text]).toEqual(['tcp', 'payload']);
  });

  it('after its claim is declined, and then reset', async () => {
    const client = await server.dialled();
    await client.claim();
    expect((await client.message()).type).toBe('decline');
    await until(() => client.closed !== undefined);
    expect([client.closed, server.connections.length]).toEqual(['ECONNRESET', 0]);
  });

  it('after its Proposal goes on over TCP, since the server decides so', async () => {
    const client = await server.dialled();
    const { tx } = await client.claim();
    client.propose();
    expect((await client.message()).type).toBe('accept');
    await until(() => tx.words[WORD.decision] === DECISION.tcpByServer);
    client.socket.write('payload');
    await until(() => server.seen[0]?.text === 'payload');
    expect(server.only().transport).toBe('tcp');
  });

  it('and gone, is no connection at all', async () => {
    const client = await server.dialled();
    await client.claim();
    client.socket.destroy();
    client.peer?.close();
    await turns(100);
    expect(server.connections).toHaveLength(0);
  });
});

describeNative('a client that breaks the handshake', () => {
  const ways: readonly (readonly [what: string, way: (client: RawClient) => Promise<unknown>])[] = [
    [
      'sends payload after its claim',
      async (client) => {
        await client.claim();
        client.socket.write('payload, not a Proposal');
      },
    ],
    [
      'answers without a claim and sends payload',
      async (client) => {
        const { offer } = await client.offer();
        const mine = client.own.allocate(65_536);
        client.peer?.send({ type: 'answer', offered: offer.token, token: 1n, slot: 0, element: mine?.name ?? { segment: 0, index: 0 } });
        await turns();
        client.socket.write('payload');
      },
    ],
    [
      'sends payload in place of a Confirm',
      async (client) => {
        await client.claim();
        client.propose();
        await client.message();
        client.socket.write('payload');
      },
    ],
    [
      'sends a second Proposal',
      async (client) => {
        await client.claim();
        client.propose();
        await client.message();
        client.propose();
      },
    ],
    [
      'sends a Confirm before the decision',
      async (client) => {
        const { token } = await client.claim();
        client.propose();
        await client.message();
        client.confirm(token);
      },
    ],
    [
      'sends a Confirm of another token',
      async (client) => {
        const { tx, token } = await client.claim();
        client.propose();
        await client.message();
        tx.words[WORD.decision] = DECISION.ring;
        client.confirm(token + 1n);
      },
    ],
    [
      'writes an impossible decision',
      async (client) => {
        const { offer, server: element } = await client.offer();
        element.memory.words[WORD.decision] = 77;
        client.peer?.send({ type: 'refuse', offered: offer.token }); // now the server looks
      },
    ],
    [
      'decides for the ring without a Proposal',
      async (client) => {
        const { offer, server: element } = await client.offer();
        element.memory.words[WORD.decision] = DECISION.ring;
        client.peer?.send({ type: 'refuse', offered: offer.token });
      },
    ],
    [
      'closes TCP after its claim',
      async (client) => {
        await client.claim();
        client.socket.end();
      },
    ],
  ];
  for (const [what, way] of ways) {
    it(`and ${what} is cut off, and nobody else`, async () => {
      const client = await server.dialled();
      await way(client);
      await until(() => client.closed !== undefined || client.ended);
      expect(server.seen).toEqual([]);
      await stillServes();
    });
  }

  it.each([
    [
      'an element that is not there',
      (peer: RawPeer, token: bigint) =>
        peer.send({ type: 'answer', offered: token, token: 1n, slot: 0, element: { segment: 9, index: 9 } }),
    ],
    [
      'a slot that cannot be',
      (peer: RawPeer, token: bigint) =>
        peer.send({ type: 'answer', offered: token, token: 1n, slot: 1024, element: { segment: 0, index: 0 } }),
    ],
    ['nonsense', (peer: RawPeer) => peer.send(Buffer.from('nonsense'))],
    ['its end', (peer: RawPeer) => peer.close()],
  ] as const)('and answers with %s is a plain one', async (_what, answer) => {
    const client = await server.dialled();
    const { offer } = await client.offer();
    answer(client.peer as RawPeer, offer.token);
    client.socket.write('payload');
    await until(() => server.seen[0]?.text === 'payload');
    expect(server.only().transport).toBe('tcp');
    await stillServes();
  });
});
