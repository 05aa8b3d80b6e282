// kernel-data.test.ts - bytes between our link groups and the kernel's SMC, in both roles, by the kernel's own account.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid } from './kernel-smc.js';
import { closeBoth, pair, ROLES } from './smcr/pair.js';
import { SmcrPeer } from './smcr/peer.js';

const KiB = 1 << 10;
const MiB = 1 << 20;
let ours: SmcrPeer;

beforeAll(async () => {
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
  ours = await SmcrPeer.open();
});
afterAll(() => ours.close());

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  const theirs = role === 'client' ? 'server' : 'client';

  it('64 MiB go both ways at once, around the rings, and the kernel counts them', async () => {
    const { stream, agent, name } = await pair(ours, role);
    const before = await agent.facts();
    expect(before.sockets.filter(({ state }) => state === 'active').map(({ mode }) => mode)).toEqual(['smcr']);
    expect(before.groups.filter(({ connections }) => connections > 0)).toMatchObject([
      { role: theirs, connections: 1, ueid: 'SMCJS-TEST-EID', links: [{ device: 'rxe0' }] },
    ]);
    const bytes = 64 * MiB;
    await Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
    const { stats, fallbacks } = await agent.facts();
    expect(stats.smcr[`${theirs}V2`]).toBeGreaterThan(0);
    expect(stats.smcr.sentBytes - before.stats.smcr.sentBytes).toBe(bytes);
    expect(stats.smcr.receivedBytes - before.stats.smcr.receivedBytes).toBe(bytes);
    expect(fallbacks).toEqual(before.fallbacks);
    await closeBoth({ stream, agent, name });
  });

  it('messages of 64 B to 64 KiB go to and fro', async () => {
    const { stream, agent, name } = await pair(ours, role);
    const sizes = [64, 256, 1000, 4 * KiB, 16 * KiB, 64 * KiB];
    const echoed = agent.do('echo', { name });
    await stream.rounds(sizes, 20);
    stream.shutdown();
    expect(await echoed).toEqual({ bytes: 20 * sizes.reduce((sum, size) => sum + size, 0) });
    const other = await pair(ours, role);
    const done = other.stream.echo();
    await other.agent.do('rounds', { name: other.name, sizes, count: 20 }).then(same);
    await other.agent.do('shutdown', { name: other.name });
    await done;
    await Promise.all([closeBoth({ stream, agent, name }), closeBoth(other)]);
  });

  it('we end our half first, and the other goes on', async () => {
    const { stream, agent, name } = await pair(ours, role);
    await stream.send(1000, 1);
    stream.shutdown();
    await agent.do('receive', { name, bytes: 1000, seed: 1 }).then(same);
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    await Promise.all([agent.do('send', { name, bytes: 300 * KiB, seed: 2 }), stream.receive(300 * KiB, 2)]);
    await agent.do('close', { name });
    expect(await stream.read()).toBeUndefined();
    stream.close();
    await stream.removed;
    expect(stream.reset).toBe(false);
  });

  it('the kernel ends its half first, and ours goes on', async () => {
    const { stream, agent, name } = await pair(ours, role);
    await agent.do('send', { name, bytes: 1000, seed: 1 });
    await agent.do('shutdown', { name });
    await stream.receive(1000, 1);
    expect(await stream.read()).toBeUndefined();
    await Promise.all([stream.send(300 * KiB, 2), agent.do('receive', { name, bytes: 300 * KiB, seed: 2 }).then(same)]);
    stream.close();
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    await agent.do('close', { name });
    await stream.removed;
  });

  it('we close with unread bytes: the kernel knows of an abort', async () => {
    const { stream, agent, name } = await pair(ours, role);
    await agent.do('send', { name, bytes: 5000 });
    await stream.until(() => stream.available === 5000);
    stream.close();
    // An end to its reader, as from every peer that aborts, and ECONNRESET or EPIPE to its writer.
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    expect((await agent.facts()).sockets.map(({ state }) => state)).toContain('processabort');
    await expect(agent.do('send', { name, bytes: 1 })).rejects.toThrow(/Connection reset by peer|Broken pipe/);
    await agent.do('close', { name });
    await stream.removed;
  });

  it('the kernel closes with unread bytes: we get ECONNRESET', async () => {
    const { stream, agent, name } = await pair(ours, role);
    await stream.send(5000);
    // One byte read proves that the others are there.
    await agent.do('receive', { name, bytes: 1 }).then(same);
    await agent.do('close', { name });
    await expect(stream.read()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(stream.write(Buffer.alloc(100))).rejects.toMatchObject({ code: 'ECONNRESET' });
    stream.close();
    await stream.removed;
  });
});

function same(line: object): void {
  expect(line).toMatchObject({ same: true });
}
