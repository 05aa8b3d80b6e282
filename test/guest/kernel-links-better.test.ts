// kernel-links-better.test.ts - two links with the kernel that share a device of ours, because the other one was gone, and the better one that
// replaces one of them when it is back. Linux does not write again what it has underway then, for a connection that is shut down at either end.
// (As a server it has no connection over such a link.)

import { describe, expect, it } from 'vitest';
import { BOUNDED, inNetworks, twoLinks, way } from './kernel-links.js';
import { closeBoth, Meeting, type Pair } from './smc-pair.js';
import { FAILURES, run } from './two-networks.js';

const MiB = 1 << 20;

inNetworks('joined');

/** How many of ours the links have, says the kernel. */
async function ourDevices({ agent }: Pair): Promise<number> {
  const { groups } = await agent.facts();
  const links = groups.flatMap(({ connections, links }) => (connections > 0 ? links : []));
  return new Set(links.map(({ peerGid }) => peerGid)).size;
}

describe('with the kernel, we as server,', () => {
  it('a link that works does not make way for a better one under what the kernel sends behind a half close', async () => {
    const meeting = await Meeting.open('server', way);
    const stays = await meeting.connect();
    await twoLinks(stays);
    const { fail, mend } = FAILURES.ours;
    fail('b');
    try {
      // Two again, over what is left.
      await expect.poll(() => ourDevices(stays), BOUNDED).toBe(1);
      await twoLinks(stays);
    } catch (error) {
      mend('b');
      throw error;
    }
    // One over each link.
    const halves = [await meeting.connect(), await meeting.connect()];
    meeting.close();
    for (const { stream } of halves) stream.shutdown();
    let sent = 0;
    const sendMore = async (): Promise<void> => {
      const where = [MiB, 1, sent] as const;
      const sending = halves.map(({ agent, name }) => agent.do('send', { name, bytes: MiB, seed: 1, start: sent }));
      await Promise.all([...halves.map(({ stream }) => stream.receive(...where)), ...sending]);
      sent += MiB;
    };
    // So that there always is something underway.
    run('tc', 'qdisc', 'add', 'dev', 'b1', 'root', 'netem', 'delay', '20ms');
    const underway = sendMore();
    mend('b');
    await underway;
    // Several attempts.
    for (const end = Date.now() + 5000; Date.now() < end; ) await sendMore();
    expect(await ourDevices(stays)).toBe(1);
    run('tc', 'qdisc', 'del', 'dev', 'b1', 'root');
    for (const each of halves) {
      await each.agent.do('end', { name: each.name });
      await closeBoth(each);
      expect(each.stream.error).toBe(undefined);
    }
    // Then it does: attempts have become rare.
    await expect.poll(() => ourDevices(stays), { ...BOUNDED, timeout: 70_000 }).toBe(2);
    await twoLinks(stays);
    await closeBoth(stays);
    expect(stays.stream.error).toBe(undefined);
  });
});
