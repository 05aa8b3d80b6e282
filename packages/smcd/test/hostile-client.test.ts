// hostile-client.test.ts - a client made of system calls against our server: what follows the protocol gets a ring, what
// breaks it loses its own connection, and silence costs no more than the time allowed.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket, type SmcOptions } from '@smcjs/core';
import { CONN_STATE, DECISION, RingConsumer, RingProducer, WORD } from '@smcjs/core/backend';
import { beforeEach, expect, it } from 'vitest';
import { type SmcdEnvironment, smcdEnvironment } from '../dist/smcd-environment.js';
import { RawClient, type RawPeer } from './raw-peer.js';
import { describeNative, descriptors, temporaryDirectory, turns, until } from './support.js';

process.env.SMC_RUNTIME_DIR = temporaryDirectory();

const OPTIONS: SmcOptions = { transports: ['smcd', 'tcp'], discoveryWait: 250, handshakeTimeout: 250, ringSize: 65_536 };

let server: Server;
let port: number;
let environment: SmcdEnvironment;
let connections: Socket[];
/** What each connection has said, by its order, and how it ended. */
let seen: { text: string; events: string[] }[];

beforeEach(async () => {
  connections = [];
  seen = [];
  server = createServer({ ...OPTIONS, allowHalfOpen: true } as never, (socket) => {
    const entry = { text: '', events: [] as string[] };
    connections.push(socket);
    seen.push(entry);
    socket.on('data', (bytes) => {
      entry.text += bytes.toString('latin1');
    });
    for (const name of ['end', 'close']) socket.on(name, () => entry.events.push(name));
    socket.on('error', (error: NodeJS.ErrnoException) => entry.events.push(String(error.code)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  environment = smcdEnvironment() as SmcdEnvironment;
  return () => {
    for (const socket of connections) socket.destroy();
    server.close();
  };
});

/** Our own client still gets through, over memory. */
async function stillServes(): Promise<void> {
  const before = connections.length;
  const socket = connect({ port, host: '127.0.0.1', transports: ['smcd'], fallback: 'error' } as never);
  await once(socket, 'connect');
  expect(socket.transport).toBe('smcd');
  socket.end('still here');
  await until(() => seen[before]?.text === 'still here');
  socket.destroy();
}

const only = (): Socket => {
  expect(connections).toHaveLength(1);
  return connections[0] as Socket;
};

describeNative('a client that keeps to the protocol', () => {
  it('gets a ring', async () => {
    const client = await RawClient.dialled(environment, port);
    const { tx, rx } = await client.connect();
    const producer = new RingProducer(tx);
    producer.write(Buffer.from('over memory'));
    producer.publish();
    await until(() => connections.length > 0);
    expect(only().transport).toBe('smcd');
    await until(() => seen[0]?.text === 'over memory');
    only().write('answer');
    const consumer = new RingConsumer(rx);
    await until(() => consumer.available() === 6);
    expect(Buffer.from(consumer.peek() as Uint8Array).toString()).toBe('answer');
    expect(client.received.includes('answer')).toBe(false);
  });

  it('gets plain TCP when it refuses the offer', async () => {
    const client = await RawClient.dialled(environment, port);
    const { offer } = await client.offer();
    client.peer?.send({ type: 'refuse', offered: offer.token });
    client.socket.end('plain');
    await until(() => seen[0]?.text === 'plain' && seen[0].events.includes('end'));
    expect([only().transport, only().declines.find(({ transport }) => transport === 'smcd')?.reason]).toEqual(['tcp', 'no-offer']);
  });
});

describeNative('a client that is silent', () => {
  it('before hello is a plain one after a while, and all it has sent arrives', async () => {
    const client = await RawClient.dialled(environment, port);
    client.socket.write('before ');
    await turns();
    expect(connections).toHaveLength(0);
    client.socket.end('and after');
    await until(() => seen[0]?.events.includes('end') === true);
    expect([only().transport, seen[0]?.text]).toEqual(['tcp', 'before and after']);
    only().end('answer');
    await until(() => client.ended);
    expect(client.received.toString()).toBe('answer');
  });

  it('after the offer is a plain one after a while', async () => {
    const client = await RawClient.dialled(environment, port);
    await client.offer();
    client.socket.end('payload');
    await until(() => seen[0]?.events.includes('end') === true);
    expect([only().transport, seen[0]?.text]).toEqual(['tcp', 'payload']);
  });

  it('after its claim is declined, and then reset', async () => {
    const client = await RawClient.dialled(environment, port);
    await client.claim();
    expect((await client.message()).type).toBe('decline');
    await until(() => client.closed !== undefined);
    expect([client.closed, connections.length]).toEqual(['ECONNRESET', 0]);
  });

  it('after its Proposal goes on over TCP, since the server decides so', async () => {
    const client = await RawClient.dialled(environment, port);
    const { tx } = await client.claim();
    client.propose();
    expect((await client.message()).type).toBe('accept');
    await until(() => tx.words[WORD.decision] === DECISION.tcpByServer);
    client.socket.write('payload');
    await until(() => seen[0]?.text === 'payload');
    expect(only().transport).toBe('tcp');
  });

  it('and gone, is no connection at all', async () => {
    const client = await RawClient.dialled(environment, port);
    await client.claim();
    client.socket.destroy();
    client.peer?.close();
    await turns(100);
    expect(connections).toHaveLength(0);
  });
});

describeNative('a client that breaks the handshake', () => {
  const ways: readonly (readonly [what: string, way: (client: RawClient) => Promise<unknown>])[] = [
    ['sends payload after its claim', async (client) => (await client.claim(), client.socket.write('payload, not a Proposal'))],
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
        const { server: element } = await client.offer();
        element.memory.words[WORD.decision] = 77;
      },
    ],
    [
      'decides for the ring without a Proposal',
      async (client) => {
        const { server: element } = await client.offer();
        element.memory.words[WORD.decision] = DECISION.ring;
      },
    ],
    ['closes TCP after its claim', async (client) => (await client.claim(), client.socket.end())],
  ];
  for (const [what, way] of ways) {
    it(`and ${what} is cut off, and nobody else`, async () => {
      const client = await RawClient.dialled(environment, port);
      await way(client);
      await until(() => client.closed !== undefined || client.ended);
      expect(seen).toEqual([]);
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
    const client = await RawClient.dialled(environment, port);
    const { offer } = await client.offer();
    answer(client.peer as RawPeer, offer.token);
    client.socket.write('payload');
    await until(() => seen[0]?.text === 'payload');
    expect(only().transport).toBe('tcp');
    await stillServes();
  });
});

describeNative('a peer on a ring', () => {
  const ways: readonly (readonly [what: string, way: (client: RawClient, tx: Int32Array, rx: Int32Array) => void, ends: RegExp])[] = [
    ['writes an impossible producer cursor', (_client, tx) => (tx[WORD.producerCursor] = 70_000), /^ERR_SMC_PEER_VIOLATION close$/],
    ['writes an impossible consumer cursor', (_client, _tx, rx) => (rx[WORD.consumerCursor] = -5), /^ERR_SMC_PEER_VIOLATION close$/],
    ['sends a byte over TCP', (client) => client.socket.write('!'), /^ERR_SMC_PEER_VIOLATION close$/],
    ['says nonsense over its Unix socket', (client) => client.peer?.send(Buffer.alloc(3)), /^end/],
    ['closes its Unix socket', (client) => client.peer?.close(), /^end/],
    ['closes TCP', (client) => client.socket.end(), /^end/],
    ['resets TCP', (client) => client.socket.resetAndDestroy(), /^ECONNRESET close$/],
    ['sets every bit of its state', (_client, tx) => (tx[WORD.connState] = -1), /^ECONNRESET close$/],
    ['says that it is closed', (_client, tx) => (tx[WORD.connState] = CONN_STATE.closed), /^end/],
  ];
  for (const [what, way, ends] of ways) {
    it(`that ${what} ends its own connection`, async () => {
      const client = await RawClient.dialled(environment, port);
      const { tx, rx } = await client.connect();
      await until(() => connections.length > 0);
      way(client, tx.words, rx.words);
      // News, told in every way there is.
      const page = new Int32Array(client.peer?.page ?? new ArrayBuffer(4096));
      page[97] = 1;
      // Only what does not fit makes a writer look at the other side's cursor.
      only().write(Buffer.alloc(what.includes('consumer') ? 70_000 : 1));
      await until(() => (seen[0]?.events.length ?? 0) > 0);
      if (ends.source.includes('end')) only().end();
      await until(() => ends.test(seen[0]?.events.join(' ') ?? ''));
      await stillServes();
    });
  }

  it('that fills the doorbell page with anything disturbs nobody', async () => {
    const client = await RawClient.dialled(environment, port);
    await client.connect();
    await until(() => connections.length > 0);
    const words = new Uint32Array(client.peer?.page as ArrayBuffer);
    for (let round = 0; round < 200; round++) {
      for (let i = 2; i < words.length; i++) words[i] = Math.imul(round * 1021 + i, 0x9e3779b1) >>> 0;
      await turns(1);
    }
    expect(only().destroyed).toBe(false);
    await stillServes();
  });

  it('leaves no descriptor when it is gone', async () => {
    await stillServes();
    const before = descriptors();
    const client = await RawClient.dialled(environment, port);
    await client.connect();
    await until(() => connections.length === 2);
    client.peer?.send(Buffer.from('nonsense'), []);
    await until(() => seen[1]?.events.includes('end') === true);
    connections[1]?.destroy();
    client.socket.destroy();
    client.peer?.close();
    await turns(20);
    // The raw client's own listener is closed after the test.
    expect(descriptors()).toEqual([...before, 'socket:[N]'].sort());
  });
});
