// kernel-stall.test.ts - our loop stands still while the kernel tests the link and sends: no connection is lost, no byte. The kernel
// tests a link on which nothing came for `smcr_testlink_time` seconds, and gives it up without an answer within 2 s.

import { execFileSync } from 'node:child_process';
import { guardCounters } from '@smcjs/smcr/verbs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeBoth, Meeting, type Pair, pair, prepare, ROLES } from './smc-pair.js';

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

/** Of the same loop: one connection as client and one as server. The counters are the process's: of both together. */
const pairs = (): Promise<Pair[]> => Promise.all(ROLES.map((role) => pair(role)));

const exchange = ({ stream, agent, name }: Pair, bytes: number) =>
  Promise.all([
    stream.exchange(bytes, 1, 2),
    agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then((line) => expect(line).toMatchObject({ same: true })),
  ]);

describe('with the kernel, we as client and as server at once,', () => {
  it.each(Object.entries(STALLS))('idle connections outlive 10 s of %s', async (_, stall) => {
    const both = await pairs();
    const before = guardCounters();
    stall(10);
    const after = guardCounters();
    expect(after.stalls).toBeGreaterThan(before.stalls);
    expect(after.answered - before.answered).toBeGreaterThanOrEqual(2 * both.length);
    await Promise.all(both.map((one) => exchange(one, 1 << 20)));
    await Promise.all(both.map(closeBoth));
  });

  it('connections in the middle of transfers, and idle ones, outlive 40 s, and every byte comes', { timeout: 400_000 }, async () => {
    const meetings = await Promise.all(ROLES.map((role) => Meeting.open(role)));
    const busy: Pair[] = [];
    const idle: Pair[] = [];
    for (const meeting of meetings) {
      busy.push(await meeting.connect(), await meeting.connect());
      idle.push(await meeting.connect());
      meeting.close();
    }
    const transfers = busy.map((one) => exchange(one, 4 << 20));
    for (const { stream } of busy) await stream.until(() => stream.bytesRead > 1 << 18);
    const before = guardCounters();
    STALLS.execSync?.(40);
    expect(guardCounters().answered - before.answered).toBeGreaterThanOrEqual(5 * meetings.length);
    await Promise.all(transfers);
    await Promise.all(idle.map((one) => exchange(one, 1000)));
    await Promise.all([...busy, ...idle].map(closeBoth));
  });

  it('the kernel sends many small messages meanwhile: they come in order', async () => {
    const both = await pairs();
    const bytes = 400 * 50;
    const before = guardCounters();
    const sent = both.map(({ agent, name }) => agent.do('trickle', { name, bytes, seed: 7 }));
    STALLS.execSync?.(10);
    // Of more messages than there are receives.
    expect(guardCounters().kept - before.kept).toBeGreaterThan(2 * 96);
    await Promise.all([...both.map(({ stream }) => stream.receive(bytes, 7)), ...sent]);
    await Promise.all(both.map(closeBoth));
  });
});
