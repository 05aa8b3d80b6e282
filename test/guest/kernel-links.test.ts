// kernel-links.test.ts - two links with the kernel over two networks, and what becomes of connections when one dies.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type KernelAgent, sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid } from './kernel-smc.js';
import { closeBoth, pair, ROLES, type Way } from './smcr/pair.js';
import { SmcrPeer } from './smcr/peer.js';
import { FAILURES, KERNELS, makeNetworks, OURS, remakeKernelDevices, removeNetworks, run } from './two-networks.js';

const MiB = 1 << 20;
const way: Way = { ours: OURS.address, kernel: KERNELS.address };
/** TEST LINK and all retries, on emulated processors; without a limit nothing is proven. */
const BOUNDED = { timeout: 60_000, interval: 200 };

beforeAll(() => {
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
  makeNetworks();
});
afterAll(removeNetworks);

const LLC: Readonly<Record<number, string>> = { 34: 'ADD LINK', 36: 'DELETE LINK', 37: 'REQUEST ADD LINK' };

/** Devices of the links that the kernel says are there, of its group with a connection. */
async function kernelLinks(agent: KernelAgent): Promise<string[]> {
  const { groups } = await agent.facts();
  return groups
    .filter(({ connections }) => connections > 0)
    .flatMap(({ links }) => links.map(({ device }) => device))
    .sort();
}

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  let ours: SmcrPeer;
  /** First bytes of the LLC messages that the kernel sent. */
  let llc: string[];
  beforeEach(async () => {
    ours = await SmcrPeer.open({ devices: OURS.devices, maxLinks: 2 });
    llc = [];
    ours.onDriver = ({ group }) => {
      const receive = group.receivedLlc.bind(group);
      group.receivedLlc = (link, bytes, now) => {
        llc.push(`${LLC[bytes[0] as number]}${((bytes[3] as number) & 0x80) !== 0 ? ' answer' : ''}`);
        receive(link, bytes, now);
      };
    };
  });
  afterEach(() => ours.close());

  const ourLinks = (): number => [...ours.drivers].flatMap(({ group }) => group.links.filter(({ state }) => state === 'active')).length;

  it('there are two links over two networks', async () => {
    const { stream, agent, name } = await pair(ours, role, way);
    await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
    await expect.poll(ourLinks, BOUNDED).toBe(2);
    await Promise.all([stream.exchange(MiB, 1, 2), agent.do('exchange', { name, bytes: MiB, seed: 2, theirs: 1 }).then(same)]);
    await closeBoth({ stream, agent, name });
    expect(ours.ended).toEqual([]);
  });

  describe.each(Object.entries(FAILURES))('%s', (_name, { told, fail, mend }) => {
    it('in the middle of a transfer, which goes on over the other link; there are two again when the network is back', async () => {
      const { stream, agent, name } = await pair(ours, role, way);
      await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
      await expect.poll(ourLinks, BOUNDED).toBe(2);
      const bytes = 8 * MiB;
      const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
      await stream.until(() => stream.bytesRead > MiB);
      fail();
      try {
        await both;
        // Where nothing tells it that the path is dead, the kernel may be trying to have a second link again.
        if (told) expect(await kernelLinks(agent)).toEqual(['rxb1']);
        else expect(await kernelLinks(agent)).toContain('rxb1');
        expect(stream.member.link.own?.gid).toEqual(ours.paths[1]?.gid.gid);
      } finally {
        mend();
      }
      if (told) {
        await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
        await expect.poll(ourLinks, BOUNDED).toBe(2);
        // Who is client asks for the link when its port is back; the server adds it.
        expect(llc).toContain(role === 'server' ? 'REQUEST ADD LINK' : 'ADD LINK');
        expect(llc.some((name) => name.startsWith('DELETE LINK'))).toBe(true);
      }
      await closeBoth({ stream, agent, name });
      expect([ours.ended, stream.reset]).toEqual([[], false]);
    });
  });

  it("the kernel's device is removed in the middle of a transfer, which goes on over the other link", async () => {
    const { stream, agent, name } = await pair(ours, role, way);
    await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
    await expect.poll(ourLinks, BOUNDED).toBe(2);
    const bytes = 8 * MiB;
    const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
    await stream.until(() => stream.bytesRead > MiB);
    run('rdma', 'link', 'del', 'rxa1');
    onTestFinished(remakeKernelDevices);
    await both;
    expect(await kernelLinks(agent)).toEqual(['rxb1']);
    await closeBoth({ stream, agent, name });
    expect([ours.ended, stream.reset]).toEqual([[], false]);
  });
});

function same(line: object): void {
  expect(line).toMatchObject({ same: true });
}
