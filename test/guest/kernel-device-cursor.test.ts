// kernel-device-cursor.test.ts - what the kernel tells over a link that breaks, and does not repeat over the other one when it has nothing else
// to send: what it has read, while we wait for room, and that it has closed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { inNetworks, ourLinks, same, twoLinks, way } from './kernel-links.js';
import { closeBoth, Meeting } from './smc-pair.js';
import { FAILURES } from './two-networks.js';

const KiB = 1 << 10;

inNetworks();

/** Resolves when it has grown, and does not grow any more. */
async function standsStill(value: () => Promise<number>, from: number): Promise<void> {
  for (let last = from, now = from; now === from || now !== last; now = await value()) {
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

describe('with the kernel, we as server,', () => {
  it('its consumer cursor and its close are lost with a link', async () => {
    const meeting = await Meeting.open('server', way);
    const one = await meeting.connect();
    const { agent, stream, name } = one;
    await twoLinks(one);
    // Connections take turns with the links.
    const other = await meeting.connect();
    const ending = await meeting.connect();
    meeting.close();
    // More than its RMBE and our send buffer have room for. It is full when nothing is written any more, and read when nothing more is.
    const bytes = 1024 * KiB;
    const sending = stream.send(bytes, 1);
    await standsStill(async () => stream.socket.stats().rdmaWrites ?? 0, 0);
    const received = async () => (await agent.facts()).stats.smcr.receivedBytes;
    const before = await received();
    FAILURES.lost.fail('a');
    const receiving = agent.do('receive', { name, bytes, seed: 1 });
    await standsStill(received, before);
    await agent.do('shutdown', { name: ending.name });
    const reading = ending.stream.read();
    const removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit');
    await ourLinks(stream, 1);

    await sending;
    same(await receiving);
    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
    for (const each of [one, other]) await closeBoth(each);
    expect(stream.error).toBe(undefined);
    expect(await removed).toEqual([0, null]);
  });
});
