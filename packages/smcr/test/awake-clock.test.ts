// awake-clock.test.ts - time in which a loop stood still: a stopped process, a suspended machine, no processor.

import { describe, expect, it } from 'vitest';
import { AwakeClock, MOST_LATE } from '../src/driver/awake-clock.js';
import { VirtualTime } from './simulated/virtual-time.js';
import { Transfer, World } from './simulated/peers.js';

const BEAT = 250;
type Ends = NonNullable<Awaited<ReturnType<World['firstContact']>>>;

function beating(): { time: VirtualTime; clock: AwakeClock; beats: number[]; cancel: () => void } {
  const time = new VirtualTime();
  const clock = new AwakeClock(time);
  const beats: number[] = [];
  const next = (): void => {
    cancel = clock.beat(BEAT, () => {
      beats.push(clock.now());
      next();
    });
  };
  let cancel = (): void => {};
  next();
  return { time, clock, beats, cancel: () => cancel() };
}

describe('the time of a loop', () => {
  it('is the real one while it turns', async () => {
    const { time, clock, beats } = beating();
    await time.pass(1100);
    expect(beats).toEqual([250, 500, 750, 1000]);
    expect(clock.now()).toBe(1100);
  });

  it('goes on by no more than a little where it stood still, and never back', async () => {
    const { time, clock, beats } = beating();
    await time.pass(600);
    time.standStill(60_000);
    // Something else may run first.
    expect(clock.now()).toBe(750 + MOST_LATE);
    await time.pass(100);
    expect(beats).toEqual([250, 500, 1000]);
    expect(clock.now()).toBe(1100);
    await time.pass(1000);
    expect(beats).toEqual([250, 500, 1000, 1250, 1500, 1750, 2000]);
    expect([clock.now(), time.now()]).toEqual([2100, 61_700]);
  });

  it('does not end with its beats', async () => {
    const { time, clock, cancel } = beating();
    await time.pass(100);
    cancel();
    await time.pass(5000);
    expect(clock.now()).toBe(5100);
  });
});

describe('a link', () => {
  it('is not given up for an answer that had no time to come', async () => {
    const world = new World({ seed: 1 });
    const [first, other] = (await world.firstContact()) as Ends;
    world.client.group.links[0]?.suspect();
    const before = world.fabric.requests;
    await world.time.until(() => world.fabric.requests > before, 1000, 'the TEST LINK');
    world.time.standStill(5000);
    await world.time.pass(1000);
    expect([world.client.ended, world.server.ended]).toEqual([undefined, undefined]);
    const transfer = new Transfer(first, other, 1, 30_000);
    transfer.pump();
    await world.time.until(() => transfer.done, 60_000, 'the transfer');
    await world.finish();
  });
});
