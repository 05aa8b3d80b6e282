// kernel-stall.test.ts - our loop stands still while the kernel tests the link and sends: no connection is lost, no byte. The kernel
// tests a link on which nothing came for `smcr_testlink_time` seconds, and gives it up without an answer within 2 s.

import { execFileSync } from 'node:child_process';
import { guardCounters } from '@smcjs/smcr/verbs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeBoth, Meeting, pair, prepare, ROLES } from './smc-pair.js';

const testLinkTime = (seconds: number) => execFileSync('sysctl', ['-qw', `net.smc.smcr_testlink_time=${seconds}`]);

beforeAll(() => {
  prepare();
  // For link groups made from now on.
  testLinkTime(2);
});
afterAll(() => testLinkTime(30));

const STALLS: Readonly<Record<string, (seconds: number) => void>> = {
  'busy JavaScript': (seconds) => {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; );
  },
  execSync: (seconds) => {
    execFileSync('sleep', [String(seconds)]);
  },
};

describe.each(ROLES)('with the kernel, we as %s,', (role) => {
  it.each(Object.entries(STALLS))('an idle connection outlives 10 s of %s', async (_, stall) => {
    const { stream, agent, name } = await pair(role);
    const before = guardCounters();
    stall(10);
    const after = guardCounters();
    expect(after.stalls).toBeGreaterThan(before.stalls);
    expect(after.answered - before.answered).toBeGreaterThanOrEqual(2);
    const bytes = 1 << 20;
    await Promise.all([stream.exchange(bytes, 1, 2), agent.do('exchange', { name, bytes, seed: 2, theirs: 1 })]);
    await closeBoth({ stream, agent, name });
  });

  it('connections in the middle of transfers, and an idle one, outlive 40 s, and every byte comes', { timeout: 400_000 }, async () => {
    const meeting = await Meeting.open(role);
    const [busy, other, idle] = [await meeting.connect(), await meeting.connect(), await meeting.connect()];
    meeting.close();
    const bytes = 4 << 20;
    const transfers = [busy, other].flatMap(({ stream, agent, name }) => [
      stream.exchange(bytes, 1, 2),
      agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }),
    ]);
    await busy.stream.until(() => busy.stream.bytesRead > 1 << 18);
    const before = guardCounters();
    STALLS.execSync?.(40);
    expect(guardCounters().answered - before.answered).toBeGreaterThanOrEqual(5);
    await Promise.all(transfers);
    await Promise.all([idle.stream.exchange(1000, 3, 4), idle.agent.do('exchange', { name: idle.name, bytes: 1000, seed: 4, theirs: 3 })]);
    for (const one of [busy, other, idle]) await closeBoth(one);
  });

  it('the kernel sends many small messages meanwhile: they come in order', async () => {
    const { stream, agent, name } = await pair(role);
    const bytes = 400 * 50;
    const before = guardCounters();
    const sent = agent.do('trickle', { name, bytes, seed: 7 });
    STALLS.execSync?.(10);
    // Of more messages than there are receives.
    expect(guardCounters().kept - before.kept).toBeGreaterThan(96);
    await Promise.all([stream.receive(bytes, 7), sent]);
    await closeBoth({ stream, agent, name });
  });
});
