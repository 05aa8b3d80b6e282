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
  beforeEach(async () => {
    ours = await SmcrPeer.open({ devices: OURS.devices, maxLinks: 2 });
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

  describe.each(Object.entries(FAILURES))('%s', (_name, { fail, mend }) => {
    it('in the middle of a transfer, which goes on over the other link; later there are two again', async () => {
      const { stream, agent, name } = await pair(ours, role, way);
      await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
      await expect.poll(ourLinks, BOUNDED).toBe(2);
      const bytes = 16 * MiB;
      const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
      await stream.until(() => stream.bytesRead > 2 * MiB);
      fail();
      try {
        await both;
        expect(await kernelLinks(agent)).toEqual(['rxb1']);
      } finally {
        mend();
      }
      await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
      await expect.poll(ourLinks, BOUNDED).toBe(2);
      await closeBoth({ stream, agent, name });
      expect([ours.ended, stream.reset]).toEqual([[], false]);
    });
  });

  it("the kernel's device is removed in the middle of a transfer, which goes on over the other link", async () => {
    const { stream, agent, name } = await pair(ours, role, way);
    await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual(['rxa1', 'rxb1']);
    await expect.poll(ourLinks, BOUNDED).toBe(2);
    const bytes = 16 * MiB;
    const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
    await stream.until(() => stream.bytesRead > 2 * MiB);
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
