// kernel-death.test.ts - the only link dies, or the process at one end, or the TCP connection alone: the other end hears of it within
// bounded time, and of the last not at all.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Socket } from '@smcjs/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { innerOf } from '../support/inner.js';
import { KernelAgent } from './kernel-agent.js';
import { closeBoth, pair, prepare, ROLES, SMCR, UEID, type Way } from './smc-pair.js';
import { SmcStream } from './smc-stream.js';
import { FAILURES, KERNELS, makeNetworks, OURS, removeNetworks, run } from './two-networks.js';

const MiB = 1 << 20;
const [device] = OURS.devices;
const way: Way = { ours: OURS.address, kernel: KERNELS.address, options: { rdmaDevices: [device] } };
const killed = join(import.meta.dirname, '../dist/guest/smcr/killed.js');
/** What the kernel's programs get for a connection whose last link is gone, or whose peer reset it. */
const BROKEN = /Software caused connection abort|Connection reset by peer|Broken pipe/;

beforeAll(() => {
  prepare();
  makeNetworks();
  // Idle links are tested after so many seconds; for link groups made from now on.
  run('sysctl', '-qw', 'net.smc.smcr_testlink_time=2');
});
afterAll(() => {
  run('sysctl', '-qw', 'net.smc.smcr_testlink_time=30');
  removeNetworks();
});

const connections = async (agent: KernelAgent) => (await agent.facts()).groups.filter((group) => group.connections > 0);

describe.each(ROLES)('with the kernel, we as %s, over a single link,', (role) => {
  it.each(Object.values(FAILURES).map((failure) => [failure.name, failure] as const))(
    '%s in the middle of a transfer: both ends are reset',
    async (_name, { fail, mend }) => {
      const { stream, agent, name } = await pair(role, way);
      const bytes = 256 * MiB;
      const ourEnd = stream.exchange(bytes, 1, 2);
      const kernelEnd = agent.do('exchange', { name, bytes, seed: 2, theirs: 1 });
      ourEnd.catch(() => {});
      await stream.until(() => stream.bytesRead > MiB);
      fail();
      onTestFinished(() => mend());
      await expect(ourEnd).rejects.toMatchObject({ code: 'ECONNRESET' });
      await expect(kernelEnd).rejects.toThrow(BROKEN);
      expect(await connections(agent)).toEqual([]);
      await stream.closed;
    },
  );

  it("kill -9 of the kernel's program is heard of at once", async () => {
    const { stream, agent, name } = await pair(role, way);
    await Promise.all([stream.exchange(1000, 1, 2), agent.do('exchange', { name, bytes: 1000, seed: 2, theirs: 1 })]);
    agent.kill();
    // It had read everything: its kernel closes for it.
    expect(await stream.read()).toBeUndefined();
    stream.close();
    await stream.closed;
    expect(stream.error).toBe(undefined);
  });

  it('a NAT that forgets the idle TCP connection harms nothing, nor does its end', async () => {
    const { stream, agent, name } = await pair(role, way);
    // TCP is on lo, RDMA is not.
    run('tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'loss', '100%');
    onTestFinished(() => run('tc', 'qdisc', 'del', 'dev', 'lo', 'root'));
    await Promise.all([stream.exchange(MiB, 1, 2), agent.do('exchange', { name, bytes: MiB, seed: 2, theirs: 1 })]);
    // Whether it has the connection the kernel cannot say, but that it is there.
    innerOf(stream.socket).destroy();
    await sleep(3000);
    await Promise.all([stream.exchange(MiB, 1, 2), agent.do('exchange', { name, bytes: MiB, seed: 2, theirs: 1 })]);
    await closeBoth({ stream, agent, name });
    expect(stream.error).toBe(undefined);
  });
});

/** Starts killed.ts, which connects to `port`. */
async function victim(port: number, how: 'idle' | 'busy'): Promise<() => void> {
  const args = [killed, String(port), KERNELS.address, OURS.address, device, UEID, how];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  return () => void child.kill('SIGKILL');
}

describe.each(['idle', 'busy'] as const)('kill -9 of our process, %s,', (how) => {
  it('is found out by the kernel, whose program is told', async () => {
    const agent = new KernelAgent();
    const { port } = await agent.do('listen', { name: 'l', host: KERNELS.address });
    const accepted = agent.do('accept', { name: 'c', listener: 'l' });
    const exchanged = accepted.then(() => agent.do('exchange', { name: 'c', bytes: 1000, seed: 2, theirs: 1 }));
    const kill = await victim(port as number, how);
    await exchanged;
    kill();
    // Its reader gets an error or just an end, as it happens; its writer gets the error.
    await agent.do('end', { name: 'c' }).catch(() => {});
    expect(await connections(agent)).toEqual([]);
    await expect(agent.do('send', { name: 'c', bytes: 1 })).rejects.toThrow(BROKEN);
  });

  it('is found out by our peer: TCP makes it suspect, TEST LINK settles it', async () => {
    const server = createServer({ ...SMCR, rdmaDevices: [KERNELS.devices[0]] });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, KERNELS.address, resolve));
    const coming = once(server, 'connection') as Promise<[Socket]>;
    const starting = victim((server.address() as AddressInfo).port, how);
    const stream = new SmcStream((await coming)[0]);
    await stream.exchange(1000, 2, 1);
    const kill = await starting;
    kill();
    const toItsEnd = async (): Promise<void> => {
      while ((await stream.read()) !== undefined);
    };
    await expect(toItsEnd()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await stream.closed;
  });
});
