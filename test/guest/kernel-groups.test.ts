// kernel-groups.test.ts - one link group with the kernel for many connections, and what is left when they have come and gone.

import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CONNECTS } from './lengths.js';
import { resourcesOf } from './rdma.js';
import { closeBoth, Meeting, type Pair, prepare, ROLES, type Way } from './smc-pair.js';

const KiB = 1 << 10;
const way: Way = { options: { ringSize: 16 * KiB } };

beforeAll(prepare);

const now = () => ({ ...resourcesOf(process.pid), descriptors: readdirSync('/proc/self/fd').length });

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  const theirs = role === 'client' ? 'server' : 'client';

  it('50 connections share one link group, with elements behind the first of an RMB', async () => {
    const meeting = await Meeting.open(role, way);
    const before = await meeting.agent.facts();
    const regions = resourcesOf(process.pid).mr;
    const pairs: Pair[] = [await meeting.connect()];
    pairs.push(...(await Promise.all(Array.from({ length: 49 }, () => meeting.connect()))));
    const { groups, sockets, fallbacks } = await meeting.agent.facts();
    expect(groups.filter(({ connections }) => connections > 0)).toMatchObject([{ role: theirs, connections: 50 }]);
    expect(sockets.filter(({ state }) => state === 'active').map(({ mode }) => mode)).toEqual(Array(50).fill('smcr'));
    expect(fallbacks).toEqual(before.fallbacks);
    // A send buffer each, and elements that share RMBs.
    expect(resourcesOf(process.pid).mr - regions).toBeLessThan(50 + 25);
    await Promise.all(
      pairs.flatMap(({ stream, agent, name }, i) => [
        stream.exchange(100 * KiB, i, 100 + i),
        agent
          .do('exchange', { name, bytes: 100 * KiB, seed: 100 + i, theirs: i })
          .then((line) => expect(line).toMatchObject({ same: true })),
      ]),
    );
    await Promise.all(pairs.map(closeBoth));
    await expect.poll(async () => (await meeting.agent.facts()).groups.filter(({ connections }) => connections > 0)).toEqual([]);
    meeting.close();
  });
});

it(`${CONNECTS} connections in a row with the kernel, in both roles at once, leave nothing behind`, async () => {
  const meetings = await Promise.all(ROLES.map((role) => Meeting.open(role, way)));
  const once = async (meeting: Meeting): Promise<void> => {
    const one = await meeting.connect();
    const { stream, agent, name } = one;
    await Promise.all([stream.exchange(100, 1, 2), agent.do('exchange', { name, bytes: 100, seed: 2, theirs: 1 })]);
    await closeBoth(one);
  };
  const again = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await Promise.all(meetings.map(once));
  };
  const fallbacks = () => Promise.all(meetings.map(async ({ agent }) => (await agent.facts()).fallbacks));
  const declined = await fallbacks();
  await again(CONNECTS / 10);
  const before = now();
  const { rss } = process.memoryUsage();
  await again((CONNECTS * 9) / 10);
  // TCP connections are closed when their 'close' has come.
  // And a send buffer more or less is kept for the next connection of each link group.
  await expect.poll(() => ({ ...now(), mr: 0 })).toEqual({ ...before, mr: 0 });
  expect(now().mr).toBeLessThanOrEqual(before.mr + 4 * meetings.length);
  expect(process.memoryUsage().rss - rss).toBeLessThan(50 * 1024 * KiB);
  expect(await fallbacks()).toEqual(declined);
  for (const meeting of meetings) meeting.close();
});
