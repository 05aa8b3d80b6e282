// sockets-fallback.test.ts - every way in which SMC-R does not come to be: what both sides are told, and that the TCP connection goes on
// with every byte; or that it is reset where nobody can know what the other side thinks.

import net from 'node:net';
import { once } from 'node:events';
import type { Decline, Socket } from '@smcjs/core';
import { connect } from '@smcjs/core';
import { type ClcProposal, decode, encode } from '@smcjs/core/backend';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gidOfAddress } from '../src/backend/subnet.js';
import { smcrProposal } from '../src/clc/index.js';
import { collect, INLINE, listen, LOOPBACK, LocalRdma, pair, until } from './simulated/sockets.js';

const rdma = new LocalRdma();

const smcrOf = (socket: Socket): Decline | undefined => socket.declines.find(({ transport }) => transport === 'smcr');

/** Both ends are TCP, and what they say of SMC-R; the connection carries bytes both ways. */
async function fallenBack([client, accepted]: [Socket, Socket], before = '') {
  expect([client.transport, accepted.transport]).toEqual(['tcp', 'tcp']);
  client.end('from the client');
  accepted.end('from the server');
  const [atClient, atServer] = await Promise.all([collect(client), collect(accepted)]);
  expect([atClient.toString(), atServer.toString()]).toEqual(['from the server', `${before}from the client`]);
  return [smcrOf(client), smcrOf(accepted)];
}

describe('a connection becomes TCP', () => {
  it('when the server does not allow SMC-R', async () => {
    const [client] = await fallenBack(await pair({ server: { transports: ['tcp'] } }));
    expect(client).toMatchObject({ side: 'peer', reason: 'configuration', code: 0x03000000 });
  });

  it('when the client does not allow it, without a byte of CLC', async () => {
    const [, accepted] = await fallenBack(await pair({ client: { transports: ['smcd', 'tcp'] }, server: { handshakeTimeout: 100 } }));
    expect(accepted).toMatchObject({ side: 'peer', reason: 'peer-not-smc' });
  });

  it('when the two have no EID in common', async () => {
    const ends = await fallenBack(await pair({ client: { ueids: ['ONE'] }, server: { ueids: ['OTHER'] } }));
    expect(ends[0]).toMatchObject({ side: 'peer', reason: 'no-ueid', code: 0x03030008 });
    expect(ends[1]).toMatchObject({ side: 'local', reason: 'no-ueid' });
  });

  it('when no GID is that of the connection', async () => {
    const { server, port } = await listen({});
    server.close();
    const elsewhere = await new Promise<net.Server>((resolve) => {
      const other = server.listen(port, '127.0.0.2', () => resolve(other));
    });
    const accepting = once(elsewhere, 'connection') as Promise<[Socket]>;
    const client = connect({ ...INLINE, port, host: '127.0.0.2' } as never);
    await once(client, 'connect');
    client.write('x');
    const [accepted] = await accepting;
    const ends = await fallenBack([client, accepted], 'x');
    expect(ends[0]).toMatchObject({ side: 'peer', reason: 'no-gid' });
    expect(ends[1]).toMatchObject({ side: 'local', reason: 'no-gid', hint: expect.stringContaining('address') as string });
    expect(ends[1]?.detail).toContain('127.0.0.2');
  });

  it('when no queue pair can be made', async () => {
    rdma.context.refusesPairs = true;
    const ends = await fallenBack(await pair());
    rdma.context.refusesPairs = false;
    expect(ends[0]).toMatchObject({ side: 'peer', reason: 'no-smcr' });
    expect(ends[1]).toMatchObject({ side: 'local', reason: 'no-smcr' });
  });

  it('when RDMA does not get through: the CONFIRM LINK is not answered', async () => {
    rdma.cut();
    const ends = await fallenBack(await pair());
    rdma.mend();
    expect(ends.map((end) => end?.reason).sort()).toEqual(['timeout-confirm-link', 'timeout-confirm-link']);
    await until(() => rdma.context.pairs.size === 0 && rdma.context.memory.registered === 0);
  });

  it('and is an error where only SMC-R is good enough', async () => {
    const { port } = await listen({ ueids: ['OTHER'] });
    const client = connect({ ...INLINE, transports: ['smcr'], fallback: 'error', port, host: '127.0.0.1' } as never);
    const [error] = (await once(client, 'error')) as [Error & { declines: Decline[] }];
    expect(error).toMatchObject({ code: 'ERR_SMC_FALLBACK' });
    expect(error.declines.find(({ transport }) => transport === 'smcr')).toMatchObject({ reason: 'no-ueid' });
  });
});

describe('a server that looks for CLC', () => {
  it('gives a plain client its bytes, however they are cut', async () => {
    const { server, port } = await listen();
    for (const first of ['h', 'hello', Buffer.from([0xe2, 0xd4]), Buffer.from([0xe2, 0xd4, 0xc3, 0x00])]) {
      const accepting = once(server, 'connection') as Promise<[Socket]>;
      const client = net.connect(port, '127.0.0.1');
      client.write(first);
      setTimeout(() => client.end('rest'), 20);
      const [accepted] = await accepting;
      expect(accepted.transport).toBe('tcp');
      const got = await collect(accepted);
      expect(got.equals(Buffer.concat([Buffer.from(first as string), Buffer.from('rest')]))).toBe(true);
      accepted.destroy();
      client.destroy();
    }
  });

  it('accepts a client that says nothing, or only goodbye', async () => {
    const { server, port } = await listen({ handshakeTimeout: 50 });
    let accepting = once(server, 'connection') as Promise<[Socket]>;
    const silent = net.connect(port, '127.0.0.1');
    const [accepted] = await accepting;
    accepted.write('you first?');
    const [greeting] = (await once(silent, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('you first?');
    silent.destroy();
    accepting = once(server, 'connection') as Promise<[Socket]>;
    net.connect(port, '127.0.0.1').end();
    const [ended] = await accepting;
    expect((await collect(ended)).length).toBe(0);
  });

  it('resets who breaks the protocol', async () => {
    const { server, port } = await listen({ handshakeTimeout: 200 });
    let connections = 0;
    server.on('connection', () => connections++);
    const proposal = encode(
      smcrProposal({
        peerId: new Uint8Array(8).fill(7),
        gid: LOOPBACK,
        mac: new Uint8Array(6),
        ueids: ['SMCJS'],
        maxConns: 255,
        maxLinks: 1,
      }),
    );
    const wrong = Buffer.from(proposal);
    wrong[6] = 1;
    for (const bytes of [wrong, Buffer.concat([proposal, proposal]), proposal.subarray(0, 8)]) {
      const client = net.connect(port, '127.0.0.1');
      onTestFinished(() => void client.destroy());
      client.write(bytes);
      const closed = new Promise<void>((resolve) => client.on('error', () => {}).once('close', () => resolve()));
      client.resume();
      // The last is only the beginning of a Proposal: that is nobody's message, and given to the program when the time is over.
      if (bytes.length === 8) {
        await until(() => connections === 1);
        client.destroy();
      }
      await closed;
    }
    expect(connections).toBe(1);
    await until(() => rdma.context.pairs.size === 0);
  });

  it.each([
    ['from another subnet', { gid: gidOfAddress('10.9.9.9') as Uint8Array }, {}, 0x030e0000],
    ['with no EID in common', { ueids: ['OTHER'] }, {}, 0x03030008],
    ['with too few connections', { maxConns: 15 }, {}, 0x0303000a],
    ['of version 1, without RoCEv1 here', {}, { version: 1, v1: 'smcr', v2: 'none', extension: undefined }, 0x030c0000],
  ] as const)('declines a Proposal %s, and serves the client over TCP', async (_, terms, more, diagnosis) => {
    const { server, port } = await listen();
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const client = net.connect(port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    const all = {
      peerId: new Uint8Array(8).fill(9),
      gid: LOOPBACK,
      mac: new Uint8Array(6),
      ueids: ['SMCJS'],
      maxConns: 255,
      maxLinks: 1,
      ...terms,
    };
    const { extension, ...proposal } = { ...smcrProposal(all), ...more };
    client.write(encode((extension === undefined ? proposal : { ...proposal, extension }) as ClcProposal));
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(decode(answer)).toMatchObject({ type: 'decline', version: proposal.version, diagnosis, outOfSync: false });
    client.end('payload');
    const [accepted] = await accepting;
    expect(smcrOf(accepted)).toMatchObject({ side: 'local', code: diagnosis, hint: expect.stringMatching(/./) as string });
    expect((await collect(accepted)).toString()).toBe('payload');
  });

  it('answers a Proposal once, and falls back when it is declined', async () => {
    const { server, port } = await listen();
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const client = net.connect(port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    const peerId = new Uint8Array(8).fill(9);
    client.write(encode(smcrProposal({ peerId, gid: LOOPBACK, mac: new Uint8Array(6), ueids: ['SMCJS'], maxConns: 255, maxLinks: 1 })));
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(decode(answer)).toMatchObject({ type: 'accept', firstContact: true, eid: 'SMCJS', rmbeIndex: 1 });
    client.write(encode({ type: 'decline', path: 'smcr', version: 2, peerId, diagnosis: 0x03030002, outOfSync: false, os: 2 }));
    client.end('payload');
    const [accepted] = await accepting;
    expect(smcrOf(accepted)).toMatchObject({ side: 'peer', reason: 'no-smcr' });
    expect((await collect(accepted)).toString()).toBe('payload');
    await until(() => rdma.context.pairs.size === 0 && rdma.context.memory.registered === 0);
  });
});

describe('a client that begins with CLC', () => {
  it('fails at a server that answers with something else, is silent, or hangs up', async () => {
    for (const [serve, code] of [
      [(socket: net.Socket) => socket.write('220 ready\r\n'), 'ERR_SMC_PEER_VIOLATION'],
      [() => {}, 'ETIMEDOUT'],
      [(socket: net.Socket) => socket.once('data', () => socket.end()), 'ECONNRESET'],
    ] as const) {
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        serve(socket);
      });
      onTestFinished(() => void server.close());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as net.AddressInfo;
      const client = connect({ ...INLINE, handshakeTimeout: 200, port, host: '127.0.0.1' } as never);
      // A greeting that came before the Proposal was ready is that of a plain server: then there is nothing to fail.
      const failed = await Promise.race([once(client, 'error'), once(client, 'connect')]);
      if (failed.length > 0) expect(failed[0]).toMatchObject({ code });
      else expect(client.transport).toBe('tcp');
      client.destroy();
    }
  });
});

describe('a handshake that is broken off', () => {
  it('at any moment, by either side, leaves nothing behind', async () => {
    const { server, port } = await listen();
    const accepted = new Set<net.Socket>();
    server.on('connection', (socket) => {
      accepted.add(socket);
      socket.on('error', () => {}).resume();
    });
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    for (let when = 0; when < 60; when++) {
      const client = connect({ ...INLINE, port, host: '127.0.0.1' } as never);
      client.on('error', () => {});
      const closed = new Promise((resolve) => client.once('close', resolve));
      await turns(when);
      if (when % 3 === 0) client.resetAndDestroy();
      client.destroy();
      await closed;
    }
    for (const socket of accepted) socket.destroy();
    // What was made for those that came so far, the group that is kept, and the buffers that are spare.
    await until(() => rdma.context.pairs.size <= 2);
    const [client, other] = await pair({}, { server, port });
    expect([client.transport, other.transport]).toEqual(['smcr', 'smcr']);
    expect(rdma.context.pairs.size).toBe(2);
  });
});
