// kernel-stall.test.ts - our loop stands still while the kernel tests the link and sends: no connection is lost, no byte. The kernel
// tests a link on which nothing came for `smcr_testlink_time` seconds, and gives it up without an answer within 2 s.

import { execFileSync } from 'node:child_process';
import { guardCounters } from '@smcjs/smcr/verbs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LONG_STALL_SECONDS, STALL_SECONDS } from './lengths.js';
import { closeBoth, Meeting, type Pair, pair, prepare, ROLES } from './smc-pair.js';

const testLinkTime = (seconds: number) => execFileSync('sysctl', ['-qw', `net.smc.smcr_testlink_time=${seconds}`]);

beforeAll(() => {
  prepare();
  // For link groups made from now on.
  testLinkTime(2);
});
afterAll(() => testLinkTime(30));

/** Of the same loop: one connection as client and one as server. The counters are the process's: of both together. */
const pairs = (): Promise<Pair[]> => Promise.all(ROLES.map((role) => pair(role)));

const exchange = ({ stream, agent, name }: Pair, bytes: number) =>
  Promise.all([
    stream.exchange(bytes, 1, 2),
    agent.do('exchange', { name, bytes, seed: 2, theirs: 1 }).then((line) => expect(line).toMatchObject({ same: true })),
  ]);

const PIECE = 50;
/** Of more messages than there are receives: 96 for each link group. */
const TRICKLE = 400 * PIECE;
const trickle = ({ agent, name }: Pair) => agent.do('trickle', { name, bytes: TRICKLE, piece: PIECE, seed: 7 });

describe('with the kernel, we as client and as server at once,', () => {
  it(`idle connections outlive ${STALL_SECONDS} s of busy JavaScript`, async () => {
    const both = await pairs();
    const before = guardCounters();
    for (const end = Date.now() + STALL_SECONDS * 1000; Date.now() < end; );
    const after = guardCounters();
    expect(after.stalls).toBeGreaterThan(before.stalls);
    // The kernel tests a link after 2 s in which nothing came, and again after 2.
    expect(after.answered - before.answered).toBeGreaterThanOrEqual(Math.floor(STALL_SECONDS / 5) * both.length);
    await Promise.all(both.map((one) => exchange(one, 1 << 20)));
    await Promise.all(both.map(closeBoth));
  });

  it(`idle ones, ones in the middle of transfers, and ones on which many small messages come, outlive ${LONG_STALL_SECONDS} s of execSync`, {
    timeout: 400_000,
  }, async () => {
    const meetings = await Promise.all(ROLES.map((role) => Meeting.open(role)));
    const [idle, busy, trickled]: [Pair[], Pair[], Pair[]] = [[], [], []];
    for (const meeting of meetings) {
      busy.push(await meeting.connect(), await meeting.connect());
      idle.push(await meeting.connect());
      trickled.push(await meeting.connect());
      meeting.close();
    }
    const transfers = busy.map((one) => exchange(one, 4 << 20));
    for (const { stream } of busy) await stream.until(() => stream.bytesRead > 1 << 18);
    const before = guardCounters();
    const sent = trickled.map(trickle);
    execFileSync('sleep', [String(LONG_STALL_SECONDS)]);
    const { answered, kept } = guardCounters();
    expect(answered - before.answered).toBeGreaterThanOrEqual((LONG_STALL_SECONDS / 8) * meetings.length);
    expect(kept - before.kept).toBeGreaterThan(2 * 96);
    await Promise.all([...trickled.map(({ stream }) => stream.receive(TRICKLE, 7)), ...sent]);
    await Promise.all(transfers);
    await Promise.all(idle.map((one) => exchange(one, 1000)));
    await Promise.all([...busy, ...idle, ...trickled].map(closeBoth));
  });
});
