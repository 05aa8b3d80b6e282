// leftovers.test.ts - after connections are gone, however they went, no descriptor, no mapping and no file is left.

import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { EndpointArgs } from '../peers/endpoint.js';
import type { Holdings, SideArgs } from '../peers/lib.js';
import { type Message, Peer } from '../support/peer.js';

const SMCD: SideArgs = { module: '@smcjs/core', options: { transports: ['smcd'], fallback: 'error' } };

const endpoint = (args: Partial<EndpointArgs>): Peer =>
  new Peer('endpoint', { side: SMCD, role: 'server', task: 'receive', seed: 2, port: 0, ...args } satisfies EndpointArgs);

async function holdingsOf(peer: Peer): Promise<Holdings & Message> {
  peer.send({ do: 'holdings' });
  return (await peer.message('holdings')) as Holdings & Message;
}

/** Asks until the process holds no more than `most` descriptors and no mapping of shared memory; the last answer. */
async function released(peer: Peer, most: number): Promise<Holdings> {
  for (;;) {
    const held = await holdingsOf(peer);
    if (held.descriptors.length <= most && held.mappings.length === 0) return held;
    await delay(20);
  }
}

async function end(peer: Peer, way: 'killed' | 'closed'): Promise<void> {
  if (way === 'killed') peer.kill('SIGKILL');
  else peer.send({ do: 'leave' });
  expect(await peer.exit, peer.errors).toEqual(way === 'killed' ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null });
}

/** One connection: the client sends, and goes by kill -9 or by closing. */
async function round(serving: Peer, port: number, way: 'killed' | 'closed'): Promise<void> {
  const dialing = endpoint({ role: 'client', task: way === 'killed' ? 'send' : 'stall', port });
  await serving.message('connected');
  if (way === 'killed') await dialing.message('taken');
  else await dialing.message('connected');
  await end(dialing, way);
  await serving.message('closed');
}

describe('nothing is left', () => {
  for (const way of ['killed', 'closed'] as const) {
    it(`in a server whose clients were ${way}`, async () => {
      const serving = endpoint({});
      const port = (await serving.message('listening')).port as number;
      // The first connection also sets up what the process keeps for all of them.
      await round(serving, port, way);
      await delay(100);
      const before = (await holdingsOf(serving)).descriptors;
      for (let i = 0; i < 5; i++) await round(serving, port, way);
      const held = await released(serving, before.length);
      expect(held).toMatchObject({ descriptors: before, mappings: [] });
    });

    it(`in a client whose servers were ${way}`, async () => {
      const dialing = endpoint({ role: 'client', task: 'receive' });
      let before: string[] | undefined;
      for (let i = 0; i < 6; i++) {
        const serving = endpoint({ task: 'send' });
        dialing.send({ do: 'dial', port: (await serving.message('listening')).port });
        await serving.message('taken');
        await end(serving, way);
        await dialing.message('closed');
        if (i === 0) await delay(100);
        before ??= (await holdingsOf(dialing)).descriptors;
      }
      expect(await released(dialing, before?.length ?? 0)).toMatchObject({ descriptors: before, mappings: [] });
    });
  }

  it('in a pair of living processes that opened and closed connections, but the memory they will use again', async () => {
    const serving = endpoint({});
    const port = (await serving.message('listening')).port as number;
    const dialing = endpoint({ role: 'client', task: 'stall' });
    const counts: number[] = [];
    for (let i = 0; i < 12; i++) {
      dialing.send({ do: 'dial', port });
      await serving.message('connected');
      await dialing.message('connected');
      counts.push((await holdingsOf(serving)).descriptors.length);
      counts.push((await holdingsOf(dialing)).descriptors.length);
    }
    // Twelve connections at once: one TCP descriptor each, and what the pair of processes shares, once.
    expect((counts.at(-2) as number) - (counts[0] as number)).toBe(11);
    expect((counts.at(-1) as number) - (counts[1] as number)).toBe(11);
    dialing.kill('SIGKILL');
    for (let i = 0; i < 12; i++) await serving.message('closed');
    expect((await released(serving, (counts[0] as number) - 1)).mappings).toEqual([]);
  });

  it('in the runtime directory once everybody is gone', async () => {
    const directory = process.env.SMC_RUNTIME_DIR as string;
    const serving = endpoint({});
    const port = (await serving.message('listening')).port as number;
    await round(serving, port, 'closed');
    await round(serving, port, 'killed');
    serving.send({ do: 'close' });
    expect(await serving.exit, serving.errors).toEqual({ code: 0, signal: null });
    // What kill -9 leaves is removed by whoever meets it; an orderly process removes its own. One more of each meets all.
    const cleaner = endpoint({});
    await round(cleaner, (await cleaner.message('listening')).port as number, 'closed');
    cleaner.send({ do: 'close' });
    await cleaner.exit;
    expect(readdirSync(directory, { recursive: true }).filter((name) => String(name).includes(`${port}`))).toEqual([]);
  });
});
