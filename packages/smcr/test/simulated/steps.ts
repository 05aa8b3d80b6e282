// steps.ts - something breaks at every step of a scenario: once with each request that is put on the wire, or before each event of the
// network (an arrival, an acknowledgement, a completion, a control verb that is done, a timer). Everything follows from the seed, so up
// to the break each run is the same, and the first run that ends before its break has had one step more than there are.

import { CONN_STATE } from '@smcjs/core/backend';
import { expect } from 'vitest';
import { STATUS } from '../../src/verbs-provider.js';
import { type Peer, type SimulatedEnd, Transfer, World } from './peers.js';

export type Break = (world: World) => void;
/** What is counted. */
export type Unit = 'request' | 'event';
const UNITS: readonly Unit[] = ['request', 'event'];

/** With SMC_TEST_LONG=1 each exploration is repeated with other latencies. */
const LONG = process.env.SMC_TEST_LONG === '1';
const SEEDS = LONG ? [1, 2, 3, 4, 5, 6, 7, 8] : [1];

export function failPairs(peer: Peer, device: number): void {
  for (const pair of peer.contexts[device]?.pairs ?? []) pair.fail(STATUS.general);
}

/** Ways for the link over one pair of devices to break. */
export const breaksOf = (device: number): readonly [string, Break][] => [
  ['the port of the client goes down', ({ fabric, client }) => fabric.cut(client.gid(device))],
  ['the port of the server goes down', ({ fabric, server }) => fabric.cut(server.gid(device))],
  ['the queue pair of the client fails', ({ client }) => failPairs(client, device)],
  ['the queue pair of the server fails', ({ server }) => failPairs(server, device)],
  [
    // About as long as the retries last: one end may give up and the other not.
    'the port of the server is down for 33 ms',
    ({ fabric, server, time }) => {
      fabric.cut(server.gid(device));
      time.after(33, () => fabric.mend(server.gid(device)));
    },
  ],
];

export interface Armed {
  readonly fired: boolean;
  /** From now on it does not happen any more. */
  disarm(): void;
}

/** Breaks with the n-th request, or before the n-th event, from now. */
function breakAt(world: World, n: number, how: Break, unit: Unit = 'request'): Armed {
  const { fabric, time } = world;
  const armed = { fired: false, disarm };
  function disarm(): void {
    fabric.onRequest = time.onEvent = undefined;
  }
  const at = n + (unit === 'request' ? fabric.requests : time.events);
  const onStep = (count: number): void => {
    if (count !== at) return;
    disarm();
    armed.fired = true;
    how(world);
  };
  disarm();
  if (unit === 'request') fabric.onRequest = onStep;
  else time.onEvent = onStep;
  return armed;
}

export interface Exploration {
  /** Of the device whose link breaks. */
  readonly how: Break;
  /** There are at least so many steps: an exploration that has become smaller is noticed. */
  readonly least: Readonly<Record<Unit, number>>;
  /** Nothing in it depends on the version: both only with SMC_TEST_LONG=1. */
  readonly anyVersion?: boolean;
}

/** One run, with the break at step `n`: returns what {@link breakAt} did, disarmed when the scenario was over. */
export type Play = (version: 1 | 2, seed: number, arm: (world: World) => Armed) => Promise<Armed>;

/** At a developer's desk version 1 is broken with its requests only. */
function versionsOf(unit: Unit, anyVersion: boolean): readonly (1 | 2)[] {
  return LONG || (!anyVersion && (unit === 'request' || process.env.CI)) ? [1, 2] : [2];
}

/** Plays with the break at step 1, 2, ... until the scenario is over before the break; counted both ways, in both versions. */
export async function atEveryStep({ how, least, anyVersion = false }: Exploration, play: Play): Promise<void> {
  for (const unit of UNITS) {
    for (const version of versionsOf(unit, anyVersion)) {
      for (const seed of SEEDS) {
        const steps = await explore((n) => play(version, seed, (world) => breakAt(world, n, how, unit)));
        expect(steps, `steps per ${unit}, version ${version}, seed ${seed}`).toBeGreaterThanOrEqual(least[unit]);
      }
    }
  }

  async function explore(run: (n: number) => Promise<Armed>): Promise<number> {
    for (let n = 1; ; n++) {
      try {
        if (!(await run(n)).fired) return n - 1;
      } catch (error) {
        throw new Error(`broken at step ${n}`, { cause: error });
      }
    }
  }
}

export type Ends = readonly [SimulatedEnd, SimulatedEnd];
const TWO = { devices: 2, maxLinks: 2 };

export const hasTwoLinks = (world: World): boolean => world.peers.every((peer) => peer.activeLinks() === 2);

/** Two peers with two devices each, which will have two links. */
export const twoDevices = (version: 1 | 2, seed: number): World => new World({ seed, latency: [0.001, 0.2] }, { ...TWO, version });

export async function twoLinks(version: 1 | 2, seed: number): Promise<[World, Ends]> {
  const world = twoDevices(version, seed);
  const ends = await world.firstContact();
  if (ends === undefined) throw new Error('no first contact');
  await world.time.until(() => hasTwoLinks(world), 10_000, 'the second link');
  return [world, ends];
}

/** Both ways, so that the two directions and what is acknowledged mix. */
export function transfersOf([a, b]: Ends, there: number, back: number): Transfer[] {
  const transfers = [new Transfer(a, b, 1, there), new Transfer(b, a, 2, back)];
  for (const transfer of transfers) transfer.pump();
  return transfers;
}

export async function closeBoth(world: World, ends: Ends): Promise<void> {
  const before = world.peers.map(({ removed }) => removed);
  for (const end of ends) end.setState(CONN_STATE.closed);
  await world.time.until(() => world.peers.every(({ removed }, i) => removed > (before[i] as number)), 10_000, 'the close');
  expect(ends.map(({ state }) => state)).toEqual(['closed', 'closed']);
}

/** Ends the groups, unless they have ended; nothing is registered then, and no queue pair is there. */
export async function nothingIsLeft(world: World): Promise<void> {
  if (world.peers.every(({ ended, failed }) => ended === undefined && failed === undefined)) await world.finish();
  else await world.run(Promise.all(world.peers.map(({ driver }) => driver.finished())));
  const left = world.peers.map(({ memoryRegistered, contexts }) => [memoryRegistered, ...contexts.map(({ pairs }) => pairs.size)]);
  expect(left.flat()).toEqual(left.flat().map(() => 0));
}
