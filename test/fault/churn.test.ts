// churn.test.ts - a thousand connections a second are opened and closed: nothing of them is left in either process or in the
// runtime directory, and the last one has a ring as the first one had.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ChurnerArgs, Held } from '../peers/churner.js';
import type { SideArgs } from '../peers/lib.js';
import { type Message, Peer } from '../support/peer.js';

const RATE = 1000;
const SECONDS = process.env.SMC_TEST_LONG === '1' ? 60 : 10;
/** Why a connection may be on TCP when the machine is loaded. */
const HONEST = ['no-offer', 'no-marker', 'timeout', 'no-memory'];
/** What a connection may leave behind, on average: less than the smallest object that holds anything. */
const BYTES_PER_CONNECTION = 100;
/** What both may keep of rings and of freed memory, however long it goes on. */
const RESIDENT_MEGABYTES = 64;
const MEGABYTE = 2 ** 20;
const side: SideArgs = { module: '@smcjs/core', options: { transports: ['smcd', 'tcp'], ringSize: 65_536 } };

const churner = (args: Omit<ChurnerArgs, 'side'>): Peer =>
  new Peer('churner', { side, ...args } satisfies ChurnerArgs, { execArgv: ['--expose-gc'] });

async function churn(client: Peer, rate: number, seconds: number): Promise<Message> {
  client.send({ do: 'churn', rate, seconds });
  return client.message('churned');
}

async function hold(peer: Peer): Promise<Held> {
  peer.send({ do: 'hold' });
  return (await peer.message('held')) as unknown as Held;
}

/** What both hold when the last connections are gone: until no descriptor is left of those that were open before. */
async function holdings(peers: readonly Peer[], most: readonly number[]): Promise<Held[]> {
  for (;;) {
    const held = await Promise.all(peers.map(hold));
    if (held.every(({ descriptors }, i) => descriptors <= (most[i] as number))) return held;
    await delay(20);
  }
}

/** Connections to `port` that the kernel still remembers: it does so for a minute, with their source ports. */
function remembered(port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return lines.filter((line) => {
    const [, , to, state] = line.trim().split(/\s+/);
    return state === '06' && to?.endsWith(remote);
  }).length;
}

it('a thousand connections a second leave nothing', { timeout: (4 * SECONDS + 120) * 1000 }, async () => {
  const directory = process.env.SMC_RUNTIME_DIR as string;
  const server = churner({ role: 'server', port: 0 });
  const port = (await server.message('listening')).port as number;
  const client = churner({ role: 'client', port });
  const peers = [client, server];
  // What both keep for later ones: link groups, segments, compiled code.
  await churn(client, RATE, 2);
  await delay(200);
  const before = await Promise.all(peers.map(hold));
  const names = readdirSync(directory).sort();

  const { counts, seconds } = await churn(client, RATE, SECONDS);
  const total = Object.values(counts as Record<string, number>).reduce((sum, count) => sum + count, 0);
  const after = await holdings(
    peers,
    before.map(({ descriptors }) => descriptors),
  );
  console.log(`${total} connections in ${Number(seconds).toFixed(1)} s: ${JSON.stringify(counts)}`);
  for (const [i, role] of ['client', 'server'].entries()) {
    const [then, now] = [before[i] as Held, after[i] as Held];
    const growth = (what: 'rss' | 'heap') => ((now[what] - then[what]) / MEGABYTE).toFixed(1);
    console.log(
      `${role}: ${then.descriptors} then ${now.descriptors} descriptors, ${then.mappings} then ${now.mappings} mappings, ` +
        `resident ${growth('rss')} MiB more, heap ${growth('heap')} MiB more`,
    );
    expect(now.descriptors).toBe(then.descriptors);
    expect((now.heap - then.heap) / total).toBeLessThan(BYTES_PER_CONNECTION);
    // Rings are kept for as many connections as there were at once: far from one mapping for each that there was.
    expect(now.mappings - then.mappings).toBeLessThan(total);
    expect((now.rss - then.rss) / MEGABYTE).toBeLessThan(RESIDENT_MEGABYTES);
  }
  expect(total).toBe(RATE * SECONDS);
  // Whole, on a ring or, when a loaded machine was too late, on TCP.
  for (const outcome of Object.keys(counts as object)) expect(['smcd', ...HONEST.map((reason) => `tcp, ${reason}`)]).toContain(outcome);
  expect((counts as Record<string, number>).smcd).toBeGreaterThan(total / 2);
  expect(readdirSync(directory).sort()).toEqual(names);
  // Of a ring nothing: the source ports of some hundred connections a second would be used up within the minute.
  expect(remembered(port)).toBeLessThanOrEqual(total - Number((counts as Record<string, number>).smcd));
  expect((await churn(client, 10, 0.1)).counts).toEqual({ smcd: 1 });
  client.send({ do: 'leave' });
  server.send({ do: 'leave' });
  for (const peer of peers) expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
});
