// kernel-device-cursor.test.ts - what the kernel tells over a link that breaks, and does not repeat over the other one when it has nothing else
// to send: what it has read, while we wait for room, and that it has closed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { inNetworks, ourLinks, same, standsStill, twoLinks, way } from './kernel-links.js';
import { closeBoth, Meeting } from './smc-pair.js';
import { FAILURES } from './two-networks.js';

const KiB = 1 << 10;

inNetworks();

describe('with the kernel, we as server,', () => {
  it('its consumer cursor and its close are lost with a link', async () => {
    const meeting = await Meeting.open('server', way);
    const one = await meeting.connect();
    const { agent, stream } = one;
    await twoLinks(one);
    // Connections take turns with the links.
    const others = [await meeting.connect()];
    const ending = await meeting.connect();
    others.push(await meeting.connect());
    // For one that is shut down Linux sends no validation either.
    const half = await meeting.connect();
    meeting.close();
    await agent.do('shutdown', { name: half.name });
    expect(await half.stream.read()).toBe(undefined);
    // More than its RMBE and our send buffer have room for. It is full when nothing is written any more, and read when nothing more is.
    const bytes = 1024 * KiB;
    const blocked = [one, half];
    const sending = blocked.map((each) => each.stream.send(bytes, 1));
    for (const each of blocked) await standsStill(async () => each.stream.socket.stats().rdmaWrites ?? 0, 0);
    const received = async () => (await agent.facts()).stats.smcr.receivedBytes;
    const before = await received();
    FAILURES.lost.fail('a');
    const receiving = blocked.map((each) => agent.do('receive', { name: each.name, bytes, seed: 1 }));
    await standsStill(received, before);
    await agent.do('shutdown', { name: ending.name });
    const reading = ending.stream.read();
    const removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit');
    await ourLinks(stream, 1);

    await Promise.all(sending);
    for (const answer of await Promise.all(receiving)) same(answer);
    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
    for (const each of [...blocked, ...others]) {
      await closeBoth(each);
      expect(each.stream.error).toBe(undefined);
    }
    expect(await removed).toEqual([0, null]);
  });
});
