// failover-random.test.ts - link groups with random latencies, loss, slow completions and slow control verbs, in which links break at
// random times and come back. Everything follows from the seed, which a failure names. SMC_TEST_LONG=1 tries ten times as many.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../test/support/random.js';
import { STATUS } from '../src/verbs-provider.js';
import { type SimulatedEnd, Transfer, World } from './simulated/peers.js';

const SEEDS = process.env.SMC_TEST_LONG === '1' ? 2500 : 250;
const FIRST = Number(process.env.SMC_TEST_SEED ?? 1);

const pick = <T>(random: Random, of: readonly T[]): T => of[random.integer(0, of.length - 1)] as T;

/** Breaks random links when random requests go out; returns how often it did. */
function sabotage({ fabric, peers, time }: World, random: Random): () => number {
  const from = fabric.requests;
  const at = new Set(Array.from({ length: random.integer(1, 3) }, () => from + random.integer(1, 150)));
  let broken = 0;
  fabric.onRequest = (count) => {
    if (!at.has(count)) return;
    broken++;
    const peer = pick(random, peers);
    const device = random.integer(0, 1);
    if (random.integer(0, 2) === 0) {
      fabric.cut(peer.gid(device));
      time.after(random.integer(5, 60), () => fabric.mend(peer.gid(device)));
    } else {
      for (const pair of peer.contexts[device]?.pairs ?? []) pair.fail(STATUS.general);
    }
  };
  return () => broken;
}

async function play(seed: number): Promise<'went on' | 'reset'> {
  const random = new Random(seed);
  const version = pick(random, [1, 2] as const);
  const world = new World({ seed, latency: [0.001, pick(random, [0.01, 0.2, 2])] }, { devices: 2, maxLinks: 2, version });
  const first = await world.firstContact();
  if (first === undefined) throw new Error('no first contact');
  for (const context of world.peers.flatMap(({ contexts }) => contexts)) {
    context.controlTime = pick(random, [0.005, 0.05, 1]);
    if (random.integer(0, 3) === 0) context.completionDelay = random.integer(0, 10);
  }
  const both = random.integer(0, 1) === 1;
  if (both) await world.time.until(() => world.peers.every((peer) => peer.activeLinks() === 2), 10_000, 'the second link');
  world.fabric.loss = pick(random, [0, 0, 10, 50]);
  const pairs: (readonly [SimulatedEnd, SimulatedEnd])[] = [first];
  for (let more = random.integer(0, 4); more > 0; more--) pairs.push(await world.connect());
  const transfers = pairs.flatMap(([a, b], i) => [
    new Transfer(a, b, i, random.integer(1, 80_000)),
    new Transfer(b, a, 100 + i, random.integer(1, 80_000)),
  ]);
  const broken = sabotage(world, random);
  for (const transfer of transfers) transfer.pump();

  const isOver = (i: number): boolean => {
    const [a, b] = pairs[i] as (typeof pairs)[0];
    return (transfers[2 * i]?.done === true && transfers[2 * i + 1]?.done === true) || (a.reset && b.reset);
  };
  await world.time.until(() => pairs.every((_, i) => isOver(i)), 300_000, 'the end of all transfers');
  world.fabric.onRequest = undefined;
  const wasReset = pairs.some(([a]) => a.reset);
  // One broken link of two costs nobody anything.
  if (both && broken() <= 1) expect(wasReset).toBe(false);
  if (!wasReset) {
    for (const end of pairs.flat()) end.setState(CONN_STATE.closed);
    await world.time.until(() => world.peers.every(({ removed }) => removed === pairs.length), 300_000, 'the close');
  }
  await world.finish();
  expect(world.peers.map(({ memoryRegistered, contexts }) => [memoryRegistered, contexts.flatMap(({ pairs: [...left] }) => left)])).toEqual(
    [
      [0, []],
      [0, []],
    ],
  );
  return wasReset ? 'reset' : 'went on';
}

describe('link groups whose links break at random', () => {
  it('keep every byte, or reset both ends, and release everything', { timeout: 600_000 }, async () => {
    let resets = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        if ((await play(seed)) === 'reset') resets++;
      } catch (error) {
        throw new Error(`SMC_TEST_SEED=${seed}`, { cause: error });
      }
    }
    expect(resets).toBeLessThan(SEEDS / 2);
  });
});
