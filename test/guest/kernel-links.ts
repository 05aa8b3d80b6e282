// kernel-links.ts - two links with the kernel over two networks, and what becomes of connections when one dies. Each role has a file, and
// so a process, of its own: all connections in it are of one link group.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KernelAgent } from './kernel-agent.js';
import { closeBoth, pair, type Pair, prepare, type Role, type Way } from './smc-pair.js';
import type { SmcStream } from './smc-stream.js';
import { FAILURES, KERNELS, makeNetworks, OURS, removeNetworks } from './two-networks.js';

const MiB = 1 << 20;
export const way: Way = { ours: OURS.address, kernel: KERNELS.address, options: { rdmaDevices: OURS.devices } };
/** TEST LINK and all retries, on emulated processors; without a limit nothing is proven. */
export const BOUNDED = { timeout: 60_000, interval: 200 };

/** Devices of the links that the kernel says are there, of its group with a connection. One may be twice, while a link is being added. */
async function kernelLinks(agent: KernelAgent): Promise<string[]> {
  const { groups } = await agent.facts();
  return groups
    .filter(({ connections }) => connections > 0)
    .flatMap(({ links }) => links.map(({ device }) => device))
    .sort();
}

export const same = (line: object): void => expect(line).toMatchObject({ same: true });

export async function twoLinks({ agent, stream }: Pair): Promise<void> {
  await expect.poll(() => kernelLinks(agent), BOUNDED).toEqual([...KERNELS.devices]);
  await ourLinks(stream, 2);
}

export const ourLinks = ({ socket }: SmcStream, count: number) => expect.poll(() => socket.stats().links, BOUNDED).toBe(count);

/** Resolves when it has grown, and does not grow any more. */
export async function standsStill(value: () => Promise<number>, from: number): Promise<void> {
  for (let last = from, now = from; now === from || now !== last; now = await value()) {
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** 8 MiB each way, while `fail` happens; returns when all bytes have come. */
async function transfer({ stream, agent, name }: Pair, fail: () => unknown): Promise<void> {
  const bytes = 8 * MiB;
  const both = Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
  await stream.until(() => stream.bytesRead > MiB);
  fail();
  await both;
}

/**
 * 8 MiB to the kernel, while `fail` happens; then as many each way. Not both ways at once: Linux 6.12 that sends when it moves a connection to
 * another link may count room in its send buffer twice, for a completion that comes late, and runs into a bug check in smc_tx_sendmsg.
 * While a device is removed, which works until it is gone, that is one time in ten on loaded processors.
 */
async function upload({ stream, agent, name }: Pair, fail: () => unknown): Promise<void> {
  const bytes = 8 * MiB;
  const received = agent.do('receive', { name, bytes, seed: 1 }).then(same);
  await stream.send(MiB, 1);
  fail();
  await stream.send(bytes - MiB, 1, MiB);
  await received;
}

export function inNetworks(how?: Parameters<typeof makeNetworks>[0]): void {
  beforeAll(() => {
    prepare();
    makeNetworks(how);
  });
  afterAll(removeNetworks);
}

/** `role` is ours. */
export function kernelLinkTests(role: Role): void {
  inNetworks();
  // Of lost packets there is only a test with ourselves at both ends (own-links.test.ts): the kernel asks for 7 retries, which rdma_rxe takes
  // for retries without end, and when we tell it to delete the link it first waits for what it has sent over it, uninterruptibly.
  const told = [FAILURES.ours, FAILURES.theirs];

  describe(`with the kernel, we as ${role},`, () => {
    it('there are two links over two networks', async () => {
      const one = await pair(role, way);
      await twoLinks(one);
      await transfer(one, () => {});
      await closeBoth(one);
      expect(one.stream.error).toBe(undefined);
    });

    it.each(told.map((failure) => [failure.name, failure] as const))(
      '%s in the middle of a transfer, which goes on over the other link; there are two again when it is back',
      async (_name, { fail, mend }) => {
        const one = await pair(role, way);
        await twoLinks(one);
        try {
          await transfer(one, () => fail());
          await expect.poll(async () => new Set(await kernelLinks(one.agent)), BOUNDED).toEqual(new Set(['rxb1']));
          await ourLinks(one.stream, 1);
        } finally {
          mend();
        }
        await twoLinks(one);
        await closeBoth(one);
        expect(one.stream.error).toBe(undefined);
      },
    );
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
      await upload(one, () => (removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit')));
      // It may have two over the device that is left.
      await expect.poll(async () => new Set(await kernelLinks(one.agent)), BOUNDED).toEqual(new Set(['rxb1']));
      await ourLinks(one.stream, 1);
      await transfer(one, () => {});
      await closeBoth(one);
      expect(one.stream.error).toBe(undefined);
      expect(await removed).toEqual([0, null]);
    });
  });
}
