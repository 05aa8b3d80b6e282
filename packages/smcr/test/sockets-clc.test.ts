// sockets-clc.test.ts - what a peer may say in CLC that cannot be agreed on, or makes no sense: a client and a server of this library with a
// relay between them that changes one message. A Decline with its code, known to both, and TCP goes on; or a reset.

import { once } from 'node:events';
import { connect, type Decline, type Socket } from '@smcjs/core';
import type { ClcAcceptConfirm, ClcAcceptConfirmR, ClcProposal } from '@smcjs/core/backend';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { gidOfAddress } from '../src/backend/subnet.js';
import { type Change, clcRelay } from './simulated/clc-relay.js';
import { collect, INLINE, listen, LocalRdma, until } from './simulated/sockets.js';

const rdma = new LocalRdma();
/** Nothing is kept of what came to nothing. */
afterEach(() => until(() => rdma.context.pairs.size === 0 && rdma.context.memory.registered === 0));

const ELSEWHERE = gidOfAddress('10.9.9.9') as Uint8Array;
const smcrOf = ({ declines }: Socket): Decline | undefined => declines.find(({ transport }) => transport === 'smcr');

/** A message whose type the test knows. */
type Changed = Omit<ClcProposal, 'type' | 'path' | 'version'> & ClcAcceptConfirmR;

/** Changes messages of one type. */
const only =
  (type: 'proposal' | 'accept' | 'confirm', change: (message: Changed) => object): Change =>
  (message) =>
    message.type === type ? (change(message as unknown as Changed) as typeof message) : message;

const changes = (fields: object) => (message: object) => ({ ...message, ...fields });
const first = (fields: object) => (message: ClcAcceptConfirmR) => ({
  ...message,
  firstContactExtension: { ...message.firstContactExtension, ...fields },
});
const further = ({ firstContactExtension: _, ...message }: ClcAcceptConfirmR) => ({ ...message, firstContact: false });
const versionOne = ({ firstContactExtension: _, ...message }: ClcAcceptConfirmR) => ({ ...message, version: 1, eid: '' });
const smcd = ({ type, version, peerId: _, eid, firstContact, firstContactExtension }: ClcAcceptConfirmR) => {
  const extension = { ...firstContactExtension, maxConns: 0, maxLinks: 0, features: 0, gids: [] };
  const dmb = { gid: 1n, gidExt: 0n, token: 2n, dmbeIndex: 0, dmbeSizeCode: 0, linkId: 3, chid: 4 };
  return { type, path: 'smcd', version, firstContact, eid, ...dmb, firstContactExtension: extension } as ClcAcceptConfirm;
};

/** Both ends of a connection with this change on its way; what each says of SMC-R, after bytes have gone both ways over TCP. */
async function fallenBack(change: Change): Promise<(Decline | undefined)[]> {
  const { server, port } = await listen();
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ ...INLINE, port: await clcRelay(port, change), host: '127.0.0.1' } as never);
  onTestFinished(() => void client.destroy());
  await once(client, 'connect');
  const [accepted] = await accepting;
  onTestFinished(() => void accepted.destroy());
  expect([client.transport, accepted.transport]).toEqual(['tcp', 'tcp']);
  client.end('from the client');
  accepted.end('from the server');
  const [atClient, atServer] = await Promise.all([collect(client), collect(accepted)]);
  expect([atClient.toString(), atServer.toString()]).toEqual(['from the server', 'from the client']);
  return [smcrOf(client), smcrOf(accepted)];
}

type Case = [what: string, change: (message: Changed) => object, reason: Decline['reason'], code: number];
const HINT = expect.stringMatching(/./) as string;

describe('a client declines an Accept', () => {
  it.each<Case>([
    ['of a GID in another subnet', changes({ gid: ELSEWHERE }), 'no-route', 0x030e0000],
    ['through a gateway', first({ direct: false }), 'no-route', 0x030e0000],
    ['of version 1', versionOne, 'version', 0x030c0000],
    ['with an EID it did not offer', changes({ eid: 'ELSE' }), 'no-ueid', 0x03030008],
    ['of a release it does not know', first({ release: 2 }), 'release', 0x03030009],
    ['with 15 connections', first({ maxConns: 15 }), 'max-conns', 0x0303000a],
    ['with more links than it offered', first({ maxLinks: 2 }), 'max-links', 0x0303000b],
    ['of a link group it does not have', further, 'out-of-sync', 0x04000000],
    ['of SMC-D', smcd, 'peer-violation', 0x0a0e0000],
  ])('%s', async (_what, change, reason, code) => {
    const [client, accepted] = await fallenBack(only('accept', change));
    expect(client).toMatchObject({ reason, code, hint: HINT });
    expect(accepted).toMatchObject({ side: 'peer', reason, code, hint: HINT });
  });
});

describe('a server declines', () => {
  it.each<Case>([
    [
      'from another subnet',
      ({ extension, ...rest }) => ({ ...rest, extension: { ...extension, roceV2Gid: ELSEWHERE } }),
      'no-route',
      0x030e0000,
    ],
    ['of version 1', ({ extension: _, ...rest }) => ({ ...rest, version: 1, v1: 'smcr', v2: 'none' }), 'version', 0x030c0000],
    [
      'of SMC-D alone',
      ({ extension, ...rest }) => ({ ...rest, v2: 'smcd', extension: { ...extension, smcd: { seid: '', gids: [] } } }),
      'modes-differ',
      0x03040000,
    ],
  ])('a Proposal %s', async (_what, change, reason, code) => {
    const [client, accepted] = await fallenBack(only('proposal', change));
    expect(client).toMatchObject({ side: 'peer', reason, code, hint: HINT });
    expect(accepted).toMatchObject({ side: 'local', reason, code, hint: HINT });
  });

  it.each<Case>([
    ['of SMC-D', smcd, 'modes-differ', 0x03040000],
    ['with another EID', changes({ eid: 'ELSE' }), 'no-ueid', 0x03030008],
    ['of another release', first({ release: 2 }), 'release', 0x03030009],
    ['with other connections', first({ maxConns: 16 }), 'max-conns', 0x0303000a],
    ['with other links', first({ maxLinks: 2 }), 'max-links', 0x0303000b],
    ['of a further contact', further, 'internal', 0x09990000],
  ])('a Confirm %s', async (_what, change, reason, code) => {
    const [client, accepted] = await fallenBack(only('confirm', change));
    expect(client).toMatchObject({ side: 'peer', reason, code, hint: HINT });
    expect(accepted).toMatchObject({ side: 'local', reason, code, hint: HINT });
  });
});

/** The client's error, where the server's program sees nothing. */
async function fails(change: Change): Promise<NodeJS.ErrnoException> {
  const { server, port } = await listen();
  const seen: unknown[] = [];
  server.on('connection', (socket) => seen.push(socket));
  const client = connect({ ...INLINE, port: await clcRelay(port, change), host: '127.0.0.1' } as never);
  onTestFinished(() => void client.destroy());
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  expect(seen).toEqual([]);
  return error;
}

/** Puts a byte elsewhere than any message of ours has it. */
const byte =
  (type: 'proposal' | 'accept' | 'confirm', at: number, value: (byte: number) => number): Change =>
  (message, bytes) => {
    if (message.type !== type) return bytes;
    const changed = Buffer.from(bytes);
    changed[at] = value(changed[at] as number);
    return changed;
  };

/** Of Accept and Confirm: the size of the element, and the MTU. */
const SIZE_AND_MTU = 50;

describe('an MTU of a code that there is not', () => {
  const changed = (type: 'accept' | 'confirm', mtu: number) => byte(type, SIZE_AND_MTU, (old) => (old & 0xf0) | mtu);

  it.each([0, 6, 7, 15])('in an Accept is an error of the client that says so: %i', async (mtu) => {
    const error = await fails(changed('accept', mtu));
    expect(error).toMatchObject({ code: 'ERR_SMC_PEER_VIOLATION', message: expect.stringContaining(`QP MTU code ${mtu}`) as string });
  });

  it('in a Confirm has the server reset the connection', async () => {
    expect(await fails(changed('confirm', 6))).toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('a message that contradicts itself', () => {
  it('is no Proposal: version 2 without the part that has its EIDs', async () => {
    // Where that part begins.
    expect(await fails(byte('proposal', 51, () => 0))).toMatchObject({ code: 'ECONNRESET' });
  });
});
