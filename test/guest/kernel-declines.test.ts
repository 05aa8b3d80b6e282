// kernel-declines.test.ts - every way not to become SMC-R that can be brought about between us and the kernel: the code at both ends, and
// TCP that goes on. The kernel's side by its sock_diag: why it is TCP, and what our Decline told it.

import { type ClcAcceptConfirmR, type ClcProposal, encode, REASONS } from '@smcjs/core/backend';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KernelAgent, sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid, removeUeids, smcFallbacks } from './kernel-smc.js';

import { clc } from './smcr/library.js';
import { Declined, SmcrPeer } from './smcr/peer.js';
import { goesOnOverTcp, propose, type Refused } from './smcr/refusal.js';
import type { Stream } from './smcr/stream.js';

const PEER_DECLINED = '0x05000000';
/** 203.0.113.1, to which there is no route: the guest has no network. */
const NOWHERE = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 1);
let ours: SmcrPeer;
let agent: KernelAgent;

beforeAll(() => {
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
});
beforeEach(async () => {
  ours = await SmcrPeer.open();
  agent = new KernelAgent();
});
afterEach(() => ours.close());
afterAll(() => addUeid('SMCJS-TEST-EID'));

const hex = (code: number): string => `0x${code.toString(16).padStart(8, '0')}`;
type Extension = NonNullable<ClcProposal['extension']>;

describe('the kernel as server declines our Proposal', () => {
  const withExtension = (change: Partial<Extension>) => (proposal: ClcProposal) => ({
    ...proposal,
    extension: { ...(proposal.extension as Extension), ...change },
  });
  const versionOne =
    (v1: 'smcr' | 'smcd', network: number) =>
    ({ extension: _, ...rest }: ClcProposal): ClcProposal => {
      const ipv4Prefix = { prefix: Uint8Array.of(network, 0, 0, 0), length: 8 };
      return { ...rest, version: 1, v1, v2: 'none', ipv4Prefix };
    };
  it.each<[string, string, (proposal: ClcProposal) => ClcProposal]>([
    ['without a common EID', '0x03030000', withExtension({ ueids: ['ANOTHER'] })],
    ['for 15 connections', '0x0303000a', withExtension({ maxConns: 15 })],
    ['for no link', '0x0303000b', withExtension({ maxLinks: 0 })],
    ['from a GID it has no route to', '0x03030002', withExtension({ roceV2Gid: NOWHERE })],
    ['of version 1: its device has no RoCEv1', '0x03030000', versionOne('smcr', 127)],
    // Of SMC-R it would say that it has no device.
    ['of version 1, of SMC-D, from another subnet', '0x03070000', versionOne('smcd', 10)],
  ])('%s', async (_name, code, change) => {
    const { answer, accepting, ...refused } = await propose(agent, change(clc.smcrProposal(ours.local)));
    expect(answer).toMatchObject({ type: 'decline' });
    expect(hex((answer as { diagnosis: number }).diagnosis)).toBe(code);
    await accepting;
    expect(await goesOnOverTcp({ ...refused })).toMatchObject({ reason: code });
    expect(smcFallbacks()).toContainEqual(expect.objectContaining({ reason: code, role: 'server' }));
  });

  it('not, but resets who sends one of version 2 that says it has no part for that, as we do', async () => {
    const bytes = encode(clc.smcrProposal(ours.local));
    // Where the part begins.
    bytes.fill(0, 50, 52);
    await expect(propose(agent, bytes)).rejects.toThrow('TCP ended');
  });
});

/** We connect, and are not SMC-R in the end. */
async function failsAsClient(): Promise<{ declined: Declined; refused: Refused }> {
  const { port } = await agent.do('listen', { name: 'l' });
  const accepting = agent.do('accept', { name: 'c', listener: 'l' });
  const declined = await ours.connect(port as number).then(
    () => Promise.reject(new Error('it is SMC-R')),
    (error: unknown) => error as Declined,
  );
  if (!(declined instanceof Declined)) throw declined;
  await accepting;
  return { declined, refused: { agent, name: 'c', socket: declined.tcp } };
}

/** The kernel connects, and is not SMC-R in the end. */
async function failsAsServer(): Promise<{ declined: Declined; refused: Refused }> {
  let onStream!: (stream: Promise<Stream | Error>) => void;
  const coming = new Promise<Stream | Error>((resolve) => (onStream = resolve));
  const { port, server } = await ours.listen((_port, stream) => onStream(stream));
  const connecting = agent.do('connect', { name: 'c', port });
  const declined = await coming;
  await connecting;
  server.close();
  if (!(declined instanceof Declined)) throw declined;
  return { declined, refused: { agent, name: 'c', socket: declined.tcp } };
}

const first = (change: object) => (message: ClcAcceptConfirmR) =>
  ({ ...message, firstContactExtension: { ...message.firstContactExtension, ...change } }) as ClcAcceptConfirmR;

describe('the kernel as server declines our Confirm', () => {
  it.each([
    ['of another release', '0x03030009', first({ release: 0 })],
    ['with other connections', '0x0303000a', first({ maxConns: 100 })],
    ['with other links', '0x0303000b', first({ maxLinks: 2 })],
  ])('%s', async (_name, code, tamper) => {
    ours.tamper = tamper;
    const { declined, refused } = await failsAsClient();
    expect(declined).toMatchObject({ by: 'peer', diagnosis: code });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: code });
  });

  it('whose link then stays silent, after 2 s', async () => {
    ours.onDriver = ({ group: made }) => (made.receivedLlc = () => undefined);
    const { declined, refused } = await failsAsClient();
    expect(declined).toMatchObject({ by: 'peer', diagnosis: '0x02010000' });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: '0x02010000' });
  });

  it('when its eyecatchers are wanted', async () => {
    ours.onDriver = (made) => {
      const send = made.send.bind(made);
      made.send = (link, message) => {
        message[3] = (message[3] as number) & ~3;
        send(link, message);
      };
    };
    const failed = failsAsClient();
    // We took it for established: our end is reset, as after everything that goes wrong behind the answer.
    await expect(failed).rejects.toThrow('it is SMC-R');
    await expect.poll(() => smcFallbacks()).toContainEqual(expect.objectContaining({ reason: '0x03050000', role: 'server' }));
  });
});

describe('the kernel as client declines our Accept', () => {
  it.each([
    ['through a gateway, where it knows a direct way', '0x030f0000', first({ direct: false })],
    [
      'through a gateway, to a GID it has no route to',
      '0x030e0000',
      (message: ClcAcceptConfirmR) => ({ ...first({ direct: false })(message), gid: NOWHERE }),
    ],
    [
      'of version 1, which it did not offer',
      '0x03040000',
      ({ firstContactExtension: _, ...rest }: ClcAcceptConfirmR): ClcAcceptConfirmR => ({ ...rest, version: 1, eid: '' }),
    ],
    ['with more connections than it offered', '0x0303000a', first({ maxConns: 15 })],
    ['with more links than it offered', '0x0303000b', first({ maxLinks: 3 })],
    [
      'for a link group it does not have: out of sync',
      '0x04000000',
      ({ firstContactExtension: _, ...rest }: ClcAcceptConfirmR) => ({ ...rest, firstContact: false }),
    ],
  ])('%s', async (_name, code, tamper) => {
    ours.tamper = tamper;
    const { declined, refused } = await failsAsServer();
    expect(declined).toMatchObject({ by: 'peer', diagnosis: code });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: code });
    expect(smcFallbacks()).toContainEqual(expect.objectContaining({ reason: code, role: 'client' }));
  });

  it('whose CONFIRM LINK does not come: its own wait is over, where we would wait for ever', async () => {
    ours.onDriver = (made) => {
      made.send = () => undefined;
      made.group.tick = () => undefined;
    };
    const { declined, refused } = await failsAsServer();
    expect(declined).toMatchObject({ by: 'peer', diagnosis: '0x02010000' });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: '0x02010000', peerDiagnosis: '0x00000000' });
    expect(smcFallbacks()).toContainEqual(expect.objectContaining({ reason: '0x02010000', role: 'client' }));
  });

  it('or is told that its CONFIRM LINK does not come: our wait of 2 s is over first', async () => {
    ours.onDriver = (made) => (made.send = () => undefined);
    const { declined, refused } = await failsAsServer();
    expect(declined).toMatchObject({ by: 'us', diagnosis: '0x02010000' });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x02010000' });
  });
});

describe('we as server decline', () => {
  it.each([
    ['without a common EID', '0x03030008', { ueids: ['ANOTHER'] }],
    ['for want of connections', '0x0303000a', { maxConns: 15 }],
    ['for want of links', '0x0303000b', { maxLinks: 0 }],
  ])('%s', async (_name, code, terms) => {
    ours.local = { ...ours.local, ...terms };
    const { declined, refused } = await failsAsServer();
    expect(declined).toMatchObject({ by: 'us', diagnosis: code });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: code });
  });

  it('a Confirm that repeats another release', async () => {
    ours.tamper = first({ release: 2 });
    const { declined, refused } = await failsAsServer();
    expect(declined).toMatchObject({ by: 'us', diagnosis: '0x03030009' });
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x03030009' });
  });

  it('with any code there is, which the kernel shows', async () => {
    const codes = [...new Set(Object.values(REASONS).map(({ code }) => code))];
    expect(codes.length).toBeGreaterThan(20);
    for (const code of codes) {
      ours.serve = async (socket) => {
        await socket.next();
        socket.decline(ours.local.peerId, code);
        throw new Declined('us', code, socket);
      };
      const { refused } = await failsAsServer();
      expect(await goesOnOverTcp(refused)).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: hex(code) });
    }
  });
});

describe('we as client decline', () => {
  it('the Accept, with our code at the kernel', async () => {
    const { answer, accepting, ...refused } = await propose(agent, clc.smcrProposal(ours.local));
    expect(answer).toMatchObject({ type: 'accept' });
    refused.socket.decline(ours.local.peerId, 0x09990001);
    await accepting;
    expect(await goesOnOverTcp(refused)).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x09990001' });
  });

  it('a further contact of a peer that has lost its link group: out of sync, upon which the kernel ends that', async () => {
    const other = new KernelAgent();
    const { port: first } = await other.do('listen', { name: 'l' });
    const accepted = other.do('accept', { name: 'c', listener: 'l' });
    const stream = await ours.connect(first as number);
    await accepted;
    const again = await SmcrPeer.open();
    again.local = ours.local;
    const { port } = await agent.do('listen', { name: 'l' });
    // What becomes of the connection itself is chance: the kernel lets it go on over TCP, or aborts it with the group before it is accepted.
    void agent.do('accept', { name: 'c', listener: 'l' });
    const declined = (await again.connect(port as number).catch((error: unknown) => error)) as Declined;
    expect(declined).toMatchObject({ by: 'us', diagnosis: '0x04000000' });
    declined.tcp.tcp.destroy();
    await stream.reset();
    await expect.poll(async () => (await other.facts()).groups.filter(({ connections }) => connections > 0)).toEqual([]);
    await again.close();
  });
});

describe('nothing is declined', () => {
  it('where one end does not speak SMC at all', async () => {
    const plain = new KernelAgent();
    // The agent's TCP sockets do not have the option, and ours do.
    const { port } = await plain.do('listen', { name: 'l', kind: 'tcp' });
    const accepting = plain.do('accept', { name: 'c', listener: 'l' });
    await agent.do('connect', { name: 'c', port });
    await accepting;
    expect((await agent.facts()).sockets.filter(({ mode }) => mode === 'tcp')).toMatchObject([
      { reason: '0x03010000', peerDiagnosis: '0x00000000' },
    ]);
  });

  it('by us where the kernel has no EID: it declines itself, in place of a Proposal', async () => {
    removeUeids();
    try {
      const { declined, refused } = await failsAsServer();
      expect(declined).toMatchObject({ by: 'peer', diagnosis: '0x03030000' });
      expect(await goesOnOverTcp(refused)).toMatchObject({ reason: '0x03030000', peerDiagnosis: '0x00000000' });
    } finally {
      addUeid('SMCJS-TEST-EID');
    }
  });
});
