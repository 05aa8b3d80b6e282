// kernel-groups.test.ts - one link group with the kernel for many connections, and what is left when they have come and gone.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KernelAgent, sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid } from './kernel-smc.js';
import { closeBoth, Meeting, type Pair, ROLES } from './smcr/pair.js';
import { SmcrPeer } from './smcr/peer.js';

const KiB = 1 << 10;

beforeAll(() => {
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
});

/** Queue pairs and memory of this process, by the kernel's account. */
function resources(): Record<'qp' | 'mr' | 'cq' | 'pd', number> {
  const count = (what: string): number => {
    const shown = execFileSync('rdma', ['resource', 'show', what], { encoding: 'utf8' });
    return shown.split('\n').filter((line) => line.includes(` pid ${process.pid} `)).length;
  };
  return { qp: count('qp'), mr: count('mr'), cq: count('cq'), pd: count('pd') };
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  const theirs = role === 'client' ? 'server' : 'client';
  let ours: SmcrPeer;
  beforeAll(async () => {
    ours = await SmcrPeer.open({ size: 16 * KiB });
  });
  afterAll(() => ours.close());

  it('50 connections share one link group, with elements behind the first of an RMB', async () => {
    const meeting = await Meeting.open(ours, role);
    const before = await meeting.agent.facts();
    const pairs: Pair[] = [await meeting.connect()];
    pairs.push(...(await Promise.all(Array.from({ length: 49 }, () => meeting.connect()))));
    const { groups, sockets, fallbacks } = await meeting.agent.facts();
    expect(groups.filter(({ connections }) => connections > 0)).toMatchObject([{ role: theirs, connections: 50 }]);
    expect(sockets.filter(({ state }) => state === 'active').map(({ mode }) => mode)).toEqual(Array(50).fill('smcr'));
    expect(fallbacks).toEqual(before.fallbacks);
    expect(ours.drivers.size).toBe(1);
    expect(Math.max(...pairs.map(({ stream }) => stream.member.element.index))).toBeGreaterThan(1);
    await Promise.all(
      pairs.flatMap(({ stream, agent, name }, i) => [
        stream.exchange(100 * KiB, i, 100 + i),
        agent
          .do('exchange', { name, bytes: 100 * KiB, seed: 100 + i, theirs: i })
          .then((line) => expect(line).toMatchObject({ same: true })),
      ]),
    );
    await Promise.all(pairs.map(closeBoth));
    expect([...ours.drivers][0]?.group.members.size).toBe(0);
    meeting.close();
  });

  it('two links are agreed and there is one device: a second link is rejected, and the link group goes on', async () => {
    const peer = await SmcrPeer.open({ size: 16 * KiB, maxLinks: 2 });
    const addLinks: Buffer[] = [];
    peer.onDriver = ({ group }) => {
      const receive = group.receivedLlc.bind(group);
      group.receivedLlc = (link, bytes, now) => {
        if (bytes[0] === 0x22) addLinks.push(Buffer.from(bytes));
        receive(link, bytes, now);
      };
    };
    const meeting = await Meeting.open(peer, role);
    const one = await meeting.connect();
    // As server we get the reject: 44 bytes, the flags of an answer that rejects. As client we get what we reject.
    await expect.poll(() => addLinks.map((bytes) => (bytes[3] as number) & 0xc0)).toEqual([role === 'server' ? 0xc0 : 0]);
    if (role === 'server') expect(addLinks[0]).toHaveLength(44);
    const bytes = 100 * KiB;
    await Promise.all([one.stream.exchange(bytes, 1, 2), one.agent.do('exchange', { name: one.name, bytes, seed: 2, theirs: 1 })]);
    expect(peer.ended).toEqual([]);
    await closeBoth(one);
    meeting.close();
    await peer.close();
  });

  // As many in both roles would take a minute more.
  const many = role === 'client' ? 1000 : 300;
  it(`${many} connections in a row leave nothing behind`, async () => {
    const meeting = await Meeting.open(ours, role);
    const again = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const one = await meeting.connect();
        await Promise.all([one.stream.exchange(100, 1, 2), one.agent.do('exchange', { name: one.name, bytes: 100, seed: 2, theirs: 1 })]);
        await closeBoth(one);
      }
    };
    const { fallbacks } = await meeting.agent.facts();
    await again(100);
    const before = { ...resources(), descriptors: descriptors() };
    const { rss } = process.memoryUsage();
    await again(many - 100);
    // TCP connections are closed when their 'close' has come.
    await expect.poll(() => ({ ...resources(), descriptors: descriptors() })).toEqual(before);
    expect(process.memoryUsage().rss - rss).toBeLessThan(50 * 1024 * KiB);
    expect((await meeting.agent.facts()).fallbacks).toEqual(fallbacks);
    meeting.close();
  });

  it('50 link groups in a row leave nothing behind', async () => {
    const agent = new KernelAgent();
    await agent.facts();
    const before = { ...resources(), descriptors: descriptors() };
    for (let i = 0; i < 50; i++) {
      const peer = await SmcrPeer.open({ size: 16 * KiB });
      const meeting = await Meeting.open(peer, role, {}, agent);
      const one = await meeting.connect();
      await Promise.all([one.stream.exchange(100, 1, 2), one.agent.do('exchange', { name: one.name, bytes: 100, seed: 2, theirs: 1 })]);
      await closeBoth(one);
      await peer.close();
      meeting.close();
    }
    await expect.poll(() => ({ ...resources(), descriptors: descriptors() })).toEqual(before);
  });
});
