// kernel-links.ts - two links with the kernel over two networks, and what becomes of connections when one dies. Each role has a file, and
// so a process, of its own: all connections in it are of one link group.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { KernelAgent } from './kernel-agent.js';
import { closeBoth, pair, type Pair, prepare, type Role, type Way } from './smc-pair.js';
import type { SmcStream } from './smc-stream.js';
import { FAILURES, KERNELS, makeNetworks, OURS, removeNetworks } from './two-networks.js';

const MiB = 1 << 20;
const way: Way = { ours: OURS.address, kernel: KERNELS.address, options: { rdmaDevices: OURS.devices } };
/** TEST LINK and all retries, on emulated processors; without a limit nothing is proven. */
const BOUNDED = { timeout: 60_000, interval: 200 };

/** Devices of the links that the kernel says are there, of its group with a connection. One may be twice, while a link is being added. */
async function kernelLinks(agent: KernelAgent): Promise<string[]> {
  const { groups } = await agent.facts();
  return groups
    .filter(({ connections }) => connections > 0)
    .flatMap(({ links }) => links.map(({ device }) => device))
    .sort();
}

const same = (line: object): void => expect(line).toMatchObject({ same: true });

async function twoLinks({ agent, stream }: Pair): Promise<void> {
  await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual([...KERNELS.devices]);
  await ourLinks(stream, 2);
}

const ourLinks = ({ socket }: SmcStream, count: number) => expect.poll(() => socket.stats().links, BOUNDED).toBe(count);

/** 8 MiB each way, while `fail` happens; returns when all bytes have come. */
async function transfer({ stream, agent, name }: Pair, fail: () => unknown): Promise<void> {
  const bytes = 8 * MiB;
  const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
  await stream.until(() => stream.bytesRead > MiB);
  fail();
  await both;
}

function inNetworks(): void {
  beforeAll(() => {
    prepare();
    makeNetworks();
  });
  afterAll(removeNetworks);
}

/** `role` is ours. */
export function kernelLinkTests(role: Role): void {
  inNetworks();
  const { lost, ...told } = FAILURES;

  describe(`with the kernel, we as ${role},`, () => {
    it('there are two links over two networks', async () => {
      const one = await pair(role, way);
      await twoLinks(one);
      await transfer(one, () => {});
      await closeBoth(one);
      expect(one.stream.error).toBe(undefined);
    });

    it.each(Object.values(told).map((failure) => [failure.name, failure] as const))(
      '%s in the middle of a transfer, which goes on over the other link; there are two again when it is back',
      async (_name, { fail, mend }) => {
        const one = await pair(role, way);
        await twoLinks(one);
        try {
          await transfer(one, fail);
          expect(new Set(await kernelLinks(one.agent))).toEqual(new Set(['rxb1']));
          await ourLinks(one.stream, 1);
        } finally {
          mend();
        }
        await twoLinks(one);
        await closeBoth(one);
        expect(one.stream.error).toBe(undefined);
      },
    );

    it(`${lost.name} of one network in the middle of a transfer, which goes on over the other`, async () => {
      const one = await pair(role, way);
      await twoLinks(one);
      onTestFinished(lost.mend);
      await transfer(one, lost.fail);
      // Nothing tells the kernel that the path is dead: it may be trying to have a second link again.
      expect(await kernelLinks(one.agent)).toContain('rxb1');
      await closeBoth(one);
      expect(one.stream.error).toBe(undefined);
    });
  });
}

/** In files of their own: the process has no device open but its own, and the link group is new. */
export function kernelDeviceTests(role: Role): void {
  inNetworks();

  describe(`with the kernel, we as ${role},`, () => {
    it("the kernel's device is removed in the middle of a transfer, which goes on over the other link", async () => {
      const one = await pair(role, way);
      await twoLinks(one);
      let removed: Promise<unknown> | undefined;
      // On another host this would not hold our loop up either.
      await transfer(one, () => (removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit')));
      expect(new Set(await kernelLinks(one.agent))).toEqual(new Set(['rxb1']));
      await ourLinks(one.stream, 1);
      await closeBoth(one);
      expect(one.stream.error).toBe(undefined);
      expect(await removed).toEqual([0, null]);
    });
  });
}
