// kernel-death.test.ts - the only link dies, or the process at one end: the other end hears of it within bounded time.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { KernelAgent, sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid } from './kernel-smc.js';
import { pair, ROLES, type Way } from './smcr/pair.js';
import { SmcrPeer } from './smcr/peer.js';
import type { Stream } from './smcr/stream.js';
import { FAILURES, KERNELS, makeNetworks, OURS, removeNetworks, run } from './two-networks.js';

const MiB = 1 << 20;
const way: Way = { ours: OURS.address, kernel: KERNELS.address };
const killed = join(import.meta.dirname, '../dist/guest/smcr/killed.js');
/** What the kernel's programs get for a connection whose last link is gone, or whose peer reset it. */
const BROKEN = /Software caused connection abort|Connection reset by peer|Broken pipe/;

beforeAll(() => {
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
  makeNetworks();
  // Idle links are tested after so many seconds; for link groups made from now on.
  run('sysctl', '-qw', 'net.smc.smcr_testlink_time=2');
});
afterAll(() => {
  run('sysctl', '-qw', 'net.smc.smcr_testlink_time=30');
  removeNetworks();
});

describe.each(ROLES)('with the kernel, we as %s, over a single link,', (role) => {
  let ours: SmcrPeer;
  beforeEach(async () => {
    ours = await SmcrPeer.open({ devices: [OURS.devices[0]], maxLinks: 1 });
  });
  afterEach(() => ours.close());

  it.each(Object.entries(FAILURES))('%s in the middle of a transfer: both ends are reset', async (_name, { fail, mend }) => {
    const { stream, agent, name } = await pair(ours, role, way);
    const bytes = 256 * MiB;
    const ourEnd = stream.exchange(bytes, 1, 2);
    const kernelEnd = agent.do('exchange', { name, bytes, seed: 2, theirs: 1 });
    ourEnd.catch(() => {});
    await stream.until(() => stream.bytesRead > MiB);
    fail();
    onTestFinished(mend);
    await expect(ourEnd).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(kernelEnd).rejects.toThrow(BROKEN);
    expect((await agent.facts()).groups.filter(({ connections }) => connections > 0)).toEqual([]);
    expect(ours.ended).toEqual(['0x00010000']);
    stream.close();
    await stream.removed;
  });

  it("kill -9 of the kernel's program is heard of at once", async () => {
    const { stream, agent, name } = await pair(ours, role, way);
    await Promise.all([stream.exchange(1000, 1, 2), agent.do('exchange', { name, bytes: 1000, seed: 2, theirs: 1 })]);
    agent.kill();
    // It had read everything: its kernel closes for it.
    expect(await stream.read()).toBeUndefined();
    stream.close();
    await stream.removed;
    expect(ours.ended).toEqual([]);
  });
});

/** Starts killed.ts, which connects to `port`. */
async function victim(port: number, host: string, address: string, device: string, how: 'idle' | 'busy'): Promise<() => void> {
  const child = spawn(process.execPath, [killed, String(port), host, address, device, how], { stdio: ['ignore', 'pipe', 'inherit'] });
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
    const kill = await victim(port as number, KERNELS.address, OURS.address, OURS.devices[0], how);
    await exchanged;
    kill();
    // Its reader gets an error or just an end, as it happens; its writer gets the error.
    await agent.do('end', { name: 'c' }).catch(() => {});
    expect((await agent.facts()).groups.filter(({ connections }) => connections > 0)).toEqual([]);
    await expect(agent.do('send', { name: 'c', bytes: 1 })).rejects.toThrow(BROKEN);
  });

  it('is found out by our peer: TCP makes it suspect, TEST LINK settles it', async () => {
    const ours = await SmcrPeer.open({ devices: ['rxa1'] });
    onTestFinished(() => ours.close());
    let onStream!: (stream: Promise<Stream | Error>) => void;
    const coming = new Promise<Stream | Error>((resolve) => (onStream = resolve));
    const { port, server } = await ours.listen((_client, stream) => onStream(stream), KERNELS.address);
    onTestFinished(() => void server.close());
    const starting = victim(port, KERNELS.address, OURS.address, OURS.devices[0], how);
    const stream = await coming;
    if (stream instanceof Error) throw stream;
    await stream.exchange(1000, 2, 1);
    const kill = await starting;
    const suspect = vi.spyOn(stream.driver, 'suspect');
    kill();
    const toItsEnd = async (): Promise<void> => {
      while ((await stream.read()) !== undefined);
    };
    await expect(toItsEnd()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(suspect).toHaveBeenCalledWith(stream.member);
    expect(ours.ended).toEqual(['0x00010000']);
    stream.close();
    await stream.removed;
  });
});
