// kernel-device-half.test.ts - a connection that is shut down at one end, when its link breaks under what the kernel sends: Linux writes
// nothing of that again and goes on behind it. Nobody may take what lies there for the bytes that are missing, or wait for them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { inNetworks, ourLinks, standsStill, twoLinks, way } from './kernel-links.js';
import { Meeting } from './smc-pair.js';
import { FAILURES } from './two-networks.js';

const KiB = 1 << 10;

inNetworks();

const BROKEN = /reset|pipe/i;

describe('with the kernel, we as server,', () => {
  it('bytes that the kernel sent over a link that broke, behind our half close, are missed', async () => {
    const meeting = await Meeting.open('server', way);
    const some = await meeting.connect();
    await twoLinks(some);
    // Connections take turns with the links.
    await meeting.connect();
    const full = await meeting.connect();
    meeting.close();
    const { agent } = some;
    for (const { stream, name } of [some, full]) {
      // Something else was here before in every place.
      await Promise.all([stream.receive(1024 * KiB, 1), agent.do('send', { name, bytes: 1024 * KiB, seed: 1 })]);
      stream.shutdown();
      await agent.do('end', { name });
    }
    FAILURES.lost.fail('a');
    const receiving = [some, full].map(({ stream }) => stream.receive(2048 * KiB, 2));
    await agent.do('send', { name: some.name, bytes: 32 * KiB, seed: 2 });
    // Less than there is room for, and more: of that the kernel sends as much as fits, and waits.
    const sentBytes = async () => (await agent.facts()).stats.smcr.sentBytes;
    const before = await sentBytes();
    const waiting = agent.do('send', { name: full.name, bytes: 2048 * KiB, seed: 2 });
    await standsStill(sentBytes, before);
    const removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit');
    await ourLinks(some.stream, 1);
    await agent
      .do('send', { name: some.name, bytes: 64 * KiB, seed: 2, start: 32 * KiB })
      .catch((error: Error) => expect(error.message).toMatch(BROKEN));
    for (const each of receiving) await expect(each).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(waiting).rejects.toThrow(BROKEN);
    expect(await removed).toEqual([0, null]);
  });
});
