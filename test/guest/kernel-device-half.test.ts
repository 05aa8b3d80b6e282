// kernel-device-half.test.ts - a connection that is shut down at one end, when its link breaks under what the kernel sends: Linux writes
// nothing of that again and goes on behind it. Nobody may take what lies there for the bytes that are missing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { inNetworks, ourLinks, twoLinks, way } from './kernel-links.js';
import { pair } from './smc-pair.js';
import { FAILURES } from './two-networks.js';

const KiB = 1 << 10;

inNetworks();

describe('with the kernel, we as server,', () => {
  it('bytes that the kernel sent over a link that broke, behind our half close, are missed', async () => {
    const one = await pair('server', way);
    const { agent, stream, name } = one;
    await twoLinks(one);
    // Something else was here before in every place.
    await Promise.all([stream.receive(1024 * KiB, 1), agent.do('send', { name, bytes: 1024 * KiB, seed: 1 })]);
    stream.shutdown();
    await agent.do('end', { name });
    FAILURES.lost.fail('a');
    const receiving = stream.receive(96 * KiB, 2);
    await agent.do('send', { name, bytes: 32 * KiB, seed: 2 });
    const removed = once(spawn('rdma', ['link', 'del', 'rxa1'], { stdio: 'inherit' }), 'exit');
    await ourLinks(stream, 1);
    await agent
      .do('send', { name, bytes: 64 * KiB, seed: 2, start: 32 * KiB })
      .catch((error: Error) => expect(error.message).toMatch(/reset|pipe/i));
    await expect(receiving).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await removed).toEqual([0, null]);
  });
});
