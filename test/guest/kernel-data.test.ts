// kernel-data.test.ts - bytes between our sockets and the kernel's SMC, in both roles, by the kernel's own account.

import { beforeAll, describe, expect, it } from 'vitest';
import { MEBIBYTES } from './lengths.js';
import { DEVICE } from './place.js';
import { closeBoth, pair, prepare, ROLES, UEID } from './smc-pair.js';

const KiB = 1 << 10;
const MiB = 1 << 20;

beforeAll(prepare);

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  const theirs = role === 'client' ? 'server' : 'client';

  it(`${MEBIBYTES} MiB go both ways at once, around the rings, and the kernel counts them`, async () => {
    const { stream, agent, name } = await pair(role);
    const before = await agent.facts();
    expect(before.sockets.filter(({ state }) => state === 'active').map(({ mode }) => mode)).toEqual(['smcr']);
    expect(before.groups.filter(({ connections }) => connections > 0)).toMatchObject([
      { role: theirs, connections: 1, ueid: UEID, links: [{ device: DEVICE }] },
    ]);
    const bytes = MEBIBYTES * MiB;
    await Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then(same)]);
    const { stats, fallbacks } = await agent.facts();
    expect(stats.smcr[`${theirs}V2`]).toBeGreaterThan(0);
    expect(stats.smcr.sentBytes - before.stats.smcr.sentBytes).toBe(bytes);
    expect(stats.smcr.receivedBytes - before.stats.smcr.receivedBytes).toBe(bytes);
    expect(fallbacks).toEqual(before.fallbacks);
    await closeBoth({ stream, agent, name });
  });

  it('messages of 64 B to 64 KiB go to and fro', async () => {
    const { stream, agent, name } = await pair(role);
    const sizes = [64, 256, 1000, 4 * KiB, 16 * KiB, 64 * KiB];
    const echoed = agent.do('echo', { name });
    await stream.rounds(sizes, 20);
    stream.shutdown();
    expect(await echoed).toEqual({ bytes: 20 * sizes.reduce((sum, size) => sum + size, 0) });
    const other = await pair(role);
    const done = other.stream.echo();
    await other.agent.do('rounds', { name: other.name, sizes, count: 20 }).then(same);
    await other.agent.do('shutdown', { name: other.name });
    await done;
    await Promise.all([closeBoth({ stream, agent, name }), closeBoth(other)]);
  });

  it('urgent bytes of the kernel come in their place, and it goes on behind them', async () => {
    const { stream, agent, name } = await pair(role);
    const bytes = 20_000;
    await Promise.all([agent.do('urgent', { name, bytes, seed: 1 }), stream.receive(bytes, 1)]);
    await closeBoth({ stream, agent, name });
    expect(stream.error).toBe(undefined);
  });

  it('we end our half first, and the other goes on', async () => {
    const { stream, agent, name } = await pair(role);
    await stream.send(1000, 1);
    stream.shutdown();
    await agent.do('receive', { name, bytes: 1000, seed: 1 }).then(same);
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    await Promise.all([agent.do('send', { name, bytes: 300 * KiB, seed: 2 }), stream.receive(300 * KiB, 2)]);
    await agent.do('close', { name });
    expect(await stream.read()).toBeUndefined();
    await stream.closed;
    expect(stream.error).toBe(undefined);
  });

  it('the kernel ends its half first, and ours goes on', async () => {
    const { stream, agent, name } = await pair(role);
    await agent.do('send', { name, bytes: 1000, seed: 1 });
    await agent.do('shutdown', { name });
    await stream.receive(1000, 1);
    expect(await stream.read()).toBeUndefined();
    await Promise.all([stream.send(300 * KiB, 2), agent.do('receive', { name, bytes: 300 * KiB, seed: 2 }).then(same)]);
    stream.close();
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    await agent.do('close', { name });
    await stream.closed;
  });

  it('we close with unread bytes: the kernel knows of an abort', async () => {
    const { stream, agent, name } = await pair(role);
    // More than the stream reads ahead: what it has does not count, as with node:net. The first look at the ring ends its reading.
    await agent.do('send', { name, bytes: 200 * KiB });
    await stream.until(() => (stream.socket.ring?.peek()?.length ?? 0) > 0);
    stream.close();
    // An end to its reader, as from every peer that aborts, and ECONNRESET or EPIPE to its writer.
    expect(await agent.do('end', { name })).toEqual({ bytes: 0 });
    expect((await agent.facts()).sockets.map(({ state }) => state)).toContain('processabort');
    await expect(agent.do('send', { name, bytes: 1 })).rejects.toThrow(/Connection reset by peer|Broken pipe/);
    await agent.do('close', { name });
    await stream.closed;
  });

  it('the kernel closes with unread bytes: we get ECONNRESET', async () => {
    const { stream, agent, name } = await pair(role);
    await stream.send(5000);
    // One byte read proves that the others are there.
    await agent.do('receive', { name, bytes: 1 }).then(same);
    await agent.do('close', { name });
    await expect(stream.read()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(stream.write(Buffer.alloc(100))).rejects.toMatchObject({ code: 'ECONNRESET' });
    await stream.closed;
  });
});

function same(line: object): void {
  expect(line).toMatchObject({ same: true });
}
