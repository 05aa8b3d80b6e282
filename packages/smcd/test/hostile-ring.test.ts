// hostile-ring.test.ts - a peer whose connection runs over memory may write anything into it, say anything on its sockets or
// be gone: its own connection ends as it should, and no other.

import { CONN_STATE, WORD } from '@smcjs/core/backend';
import { beforeEach, expect, it } from 'vitest';
import type { RawClient } from './raw-peer.js';
import { describeNative, descriptors, temporaryDirectory, turns, until } from './support.js';
import { stillServes, WatchedServer } from './watched-server.js';

process.env.SMC_RUNTIME_DIR = temporaryDirectory();

let server: WatchedServer;
beforeEach(async () => {
  server = await WatchedServer.listen();
  return () => server.close();
});

describeNative('a peer on a ring', () => {
  const ways: readonly (readonly [what: string, way: (client: RawClient, tx: Int32Array, rx: Int32Array) => void, ends: RegExp])[] = [
    ['writes an impossible producer cursor', (_client, tx) => (tx[WORD.producerCursor] = 70_000), /^ERR_SMC_PEER_VIOLATION close$/],
    ['writes an impossible consumer cursor', (_client, _tx, rx) => (rx[WORD.consumerCursor] = -5), /^ERR_SMC_PEER_VIOLATION close$/],
    ['sends a byte over TCP', (client) => client.socket.write('!'), /^ERR_SMC_PEER_VIOLATION close$/],
    ['says nonsense over its Unix socket', (client) => client.peer?.send(Buffer.alloc(3)), /^ECONNRESET close$/],
    ['closes its Unix socket alone', (client) => client.peer?.close(), /^ECONNRESET close$/],
    ['closes TCP', (client) => client.socket.end(), /^end/],
    ['resets TCP', (client) => client.socket.resetAndDestroy(), /^ECONNRESET close$/],
    ['sets every bit of its state', (_client, tx) => (tx[WORD.connState] = -1), /^ECONNRESET close$/],
    ['says that it is closed', (_client, tx) => (tx[WORD.connState] = CONN_STATE.closed), /^end/],
  ];
  for (const [what, way, ends] of ways) {
    it(`that ${what} ends its own connection`, async () => {
      const client = await server.dialled();
      const { tx, rx } = await client.connect();
      await until(() => server.connections.length > 0);
      way(client, tx.words, rx.words);
      // News, told in every way there is.
      const page = new Int32Array(client.peer?.page ?? new ArrayBuffer(4096));
      page[97] = 1;
      // Only what does not fit makes a writer look at the other side's cursor.
      server.only().write(Buffer.alloc(what.includes('consumer') ? 70_000 : 1));
      await until(() => (server.seen[0]?.events.length ?? 0) > 0);
      if (ends.source.includes('end')) server.only().end();
      await until(() => ends.test(server.seen[0]?.events.join(' ') ?? ''));
      // Who did not end in order says so: a peer that is not hostile must not take it for an end.
      if (!ends.source.includes('end')) expect((rx.words[WORD.connState] ?? 0) & CONN_STATE.abnormal).not.toBe(0);
      await stillServes();
    });
  }

  it('that fills the doorbell page with anything disturbs nobody', async () => {
    const client = await server.dialled();
    await client.connect();
    await until(() => server.connections.length > 0);
    const words = new Uint32Array(client.peer?.page as ArrayBuffer);
    for (let round = 0; round < 200; round++) {
      for (let i = 2; i < words.length; i++) words[i] = Math.imul(round * 1021 + i, 0x9e3779b1) >>> 0;
      await turns(1);
    }
    expect(server.only().destroyed).toBe(false);
    await stillServes();
  });

  it('leaves no descriptor when it is gone', async () => {
    await stillServes();
    await turns();
    const before = descriptors();
    const client = await server.dialled();
    await client.connect();
    await until(() => server.connections.length === 1);
    client.peer?.send(Buffer.from('nonsense'), []);
    await until(() => server.seen[0]?.events.includes('close') === true);
    server.only().destroy();
    client.socket.destroy();
    client.peer?.close();
    // The raw client's own listener is closed after the test.
    const expected = [...before, 'socket:[N]'].sort();
    await until(() => descriptors().length <= expected.length);
    expect(descriptors()).toEqual(expected);
  });
});
