// soak.test.ts - mixed traffic between processes that are stopped and killed at random: bytes stay right, ends are told, and
// what the surviving processes hold stays flat. A minute, or ten with SMC_TEST_LONG=1; SMC_TEST_SEED repeats its choices.

import { setTimeout as delay } from 'node:timers/promises';
import type { SmcOptions } from '@smcjs/core';
import { expect, it } from 'vitest';
import { LONG } from '../memory-order/children.js';
import { addon } from '../memory-order/places.js';
import { Peer } from '../support/peer.js';
import { Random } from '../support/random.js';
import { Ledger, type Party } from './ledger.js';
import { growth, orphans, type Sample, sample } from './measure.js';
import { KINDS, type Order, type Outcome, type Ports } from './orders.js';
import type { StationArgs } from './station.js';

const SECONDS = LONG ? 600 : 55;
const SEED = Number(process.env.SMC_TEST_SEED ?? (LONG || process.env.CI ? Date.now() % 2 ** 31 : 7609));
const MOST_OPEN = 24;
const MOST_BYTES = 17;
const SHORT_LIVED = 3;
const PLAIN: SmcOptions = { transports: ['tcp'] };

class Station implements Party {
  readonly name: string;
  readonly plain: boolean;
  readonly lasting: boolean;
  readonly peer: Peer;
  readonly samples: Sample[] = [];
  killed = false;
  stopped = false;
  ports: Ports | undefined;
  /** Ends when everything this process said has been read. */
  readonly read: Promise<unknown>;

  constructor(name: string, lasting: boolean, options: SmcOptions, ledger: Ledger) {
    this.name = name;
    this.lasting = lasting;
    this.plain = options === PLAIN;
    this.peer = new Peer('../soak/station', { options } satisfies StationArgs);
    this.read = Promise.all([
      this.#each('listening', (message) => (this.ports = message.ports as Ports)),
      this.#each('outcome', (message) => ledger.outcome(message as unknown as Outcome)),
      this.#each('taken', ({ id, taken }) => ledger.taken(id as number, taken as number)),
      this.peer.exit.then(({ code, signal }) => {
        if (!this.killed) ledger.problems.push(`${name} ended by itself: ${code ?? signal}\n${this.peer.errors}`);
      }),
    ]);
  }

  async #each(is: string, use: (message: Record<string, unknown>) => void): Promise<void> {
    for (;;) {
      const message = await this.peer.message(is).catch(() => undefined);
      if (message === undefined) return;
      use(message);
    }
  }

  get ready(): boolean {
    return this.ports !== undefined && !this.killed;
  }

  kill(): void {
    this.killed = true;
    this.peer.kill('SIGKILL');
  }

  async pause(milliseconds: number): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.peer.kill('SIGSTOP');
    await delay(milliseconds);
    this.peer.kill('SIGCONT');
    this.stopped = false;
  }
}

const native = await addon();
const reason = typeof native === 'string' ? native : undefined;
const options = { timeout: (SECONDS + 240) * 1000, skip: reason !== undefined, meta: { reason } };

it('keeps bytes right and holdings flat under mixed traffic, stops and kills', options as object, async () => {
  console.log(`soak: ${SECONDS} s, SMC_TEST_SEED=${SEED}`);
  const random = new Random(SEED);
  const ledger = new Ledger();
  const smcd: SmcOptions = { transports: ['smcd', 'tcp'], ringSize: 65_536 };
  const lasting = [
    new Station('server', true, smcd, ledger),
    new Station('client', true, smcd, ledger),
    new Station('plain server', true, PLAIN, ledger),
  ];
  const stations = [...lasting];
  const gone: Station[] = [];
  const pick = <T>(of: readonly T[]): T => of[random.integer(0, of.length - 1)] as T;
  while (!lasting.every(({ ready }) => ready)) await delay(20);

  let orders = 0;
  let started = 0;
  const pending = new Set<Promise<void>>();
  const track = (work: Promise<void>): void => {
    pending.add(work);
    void work.then(() => pending.delete(work));
  };
  const dial = (from = pick(stations), to = pick(stations), kind = pick(KINDS)): void => {
    const free = [from, to].every((station) => station.ready && ledger.openOf(station) < MOST_OPEN);
    if (from === to || !free) return;
    const order: Order = {
      id: ++orders,
      kind,
      seed: random.integer(0, 2 ** 30),
      bytes: random.integer(1, 1 << random.integer(4, MOST_BYTES)),
    };
    ledger.add(order, from, to);
    from.peer.send({ do: 'dial', order, ports: to.ports });
  };
  const disturb = (): void => {
    const short = stations.filter((station) => !station.lasting);
    const what = random.integer(0, 99);
    if (what < 5) {
      const victim = short.find(({ ready }) => ready);
      if (victim === undefined) return;
      // Something is under way in both directions when it dies.
      for (const [from, to] of [
        [victim, pick(lasting)],
        [pick(lasting), victim],
      ] as const) {
        for (const kind of ['flow', 'pull', 'exchange'] as const) dial(from, to, kind);
      }
      stations.splice(stations.indexOf(victim), 1);
      gone.push(victim);
      track(delay(random.integer(0, 400)).then(() => victim.kill()));
    } else if (what < 8) {
      track(pick(stations).pause(random.integer(10, 400)));
    } else if (what < 30 && short.length < SHORT_LIVED) {
      stations.push(new Station(`short ${++started}`, false, random.integer(0, 3) === 0 ? PLAIN : smcd, ledger));
    }
  };

  const start = Date.now();
  let sampled = 0;
  while (Date.now() - start < SECONDS * 1000 && ledger.problems.length === 0) {
    dial();
    dial();
    disturb();
    await delay(50);
    if (Date.now() - start < sampled * 1000) continue;
    sampled++;
    for (const station of lasting) station.samples.push(sample(station.peer.pid));
  }

  await Promise.all(pending);
  for (const station of stations.filter((one) => !one.lasting)) {
    station.kill();
    gone.push(station);
  }
  await Promise.all(gone.map(({ read }) => read));
  // The test's time-out is the watchdog; what is still awaited when it is near is said.
  for (let waited = 0; ledger.problems.length === 0 && ledger.awaited().length > 0; waited++) {
    if (waited === 3000) ledger.problems.push(`still awaited: ${ledger.awaited().join('\n')}`);
    await delay(20);
  }
  ledger.settle();
  for (const [what, count] of [...ledger.counts].sort()) console.log(`${count} ${what}`);
  expect(ledger.problems).toEqual([]);
  expect(lasting.flatMap(({ name, samples }) => growth(name, samples))).toEqual([]);

  // Whoever listens next removes what the dead have left.
  const ports = new Set(lasting.flatMap((station) => Object.values(station.ports as Ports)));
  (lasting[0] as Station).peer.send({ do: 'listen' });
  ports.add((await (lasting[0] as Station).peer.message('swept')).port as number);
  expect(orphans(process.env.SMC_RUNTIME_DIR as string, ports)).toEqual([]);
  for (const station of lasting) station.kill();
  await Promise.all(lasting.map(({ read }) => read));
  expect([...ledger.counts.keys()].some((what) => what.startsWith('exchange smcd'))).toBe(true);
});
