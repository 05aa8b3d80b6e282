// doorbell.test.ts - tokens in a doorbell page: every connection with news is told, whatever wraps or overflows, and who
// sleeps is woken once.

import { describe, expect, it } from 'vitest';
import type { NativeControl } from '../dist/addon.js';
import { DOORBELL_BYTES, DOORBELL_SLOTS, Doorbell, initialiseDoorbell, isDoorbell, News } from '../dist/doorbell.js';
import { SmcdChannel } from '../dist/smcd-channel.js';
import { allocateShared } from '@smcjs/core/backend';

/** Words of the page, as its picture in doorbell.ts has them. */
const WORD = { sleeping: 32, news: 96, overflow: 97, taken: 128 } as const;
const TOKENS = 1024;

function page(): { words: Int32Array; doorbell: Doorbell; news: News; wakes: () => number } {
  const memory = new ArrayBuffer(DOORBELL_BYTES);
  initialiseDoorbell(memory);
  let wakes = 0;
  const control = { ring: () => void wakes++ } as unknown as NativeControl;
  return { words: new Int32Array(memory), doorbell: new Doorbell(memory, control), news: new News(memory), wakes: () => wakes };
}

/** What is told at once: connections, or 'all'. */
function take(news: News): (number | 'all')[] {
  const told: (number | 'all')[] = [];
  news.take(
    (slot) => told.push(slot),
    () => told.push('all'),
  );
  return told;
}

describe('a doorbell page', () => {
  it('is known by its constants', () => {
    const memory = new ArrayBuffer(DOORBELL_BYTES);
    expect(isDoorbell(memory)).toBe(false);
    initialiseDoorbell(memory);
    expect(isDoorbell(memory)).toBe(true);
  });

  it('tells one connection, several, and each once if its tokens follow each other', () => {
    const { doorbell, news } = page();
    expect(take(news)).toEqual([]);
    doorbell.ring(7);
    expect(take(news)).toEqual([7]);
    for (const slot of [1, 1, 2, 1, DOORBELL_SLOTS - 1]) doorbell.ring(slot);
    expect(take(news)).toEqual([1, 2, 1, DOORBELL_SLOTS - 1]);
    expect(take(news)).toEqual([]);
  });

  it('tells the same after its counts have wrapped', () => {
    const { doorbell, news } = page();
    for (let i = 0; i < 140_000; i++) {
      doorbell.ring(i % DOORBELL_SLOTS);
      if (i % 700 === 699) expect(take(news).length).toBe(700);
    }
    take(news);
    doorbell.ring(3);
    expect(take(news)).toEqual([3]);
  });

  it('asks for a look at all when there is no place, and then tells single ones again', () => {
    const { doorbell, news } = page();
    for (let i = 0; i < TOKENS; i++) doorbell.ring(1);
    doorbell.ring(2);
    expect(take(news)).toEqual(['all']);
    doorbell.ring(4);
    expect(take(news)).toEqual([4]);
  });

  it('knows which tokens are still to be taken', () => {
    const { doorbell, news } = page();
    doorbell.ring(1);
    const mark = doorbell.count;
    expect(doorbell.pending(mark)).toBe(true);
    take(news);
    expect(doorbell.pending(mark)).toBe(false);
  });

  it('wakes who sleeps, once', () => {
    const { words, doorbell, wakes } = page();
    expect(doorbell.ring(1)).toBe(false);
    words[WORD.sleeping] = 1;
    expect([doorbell.ring(1), doorbell.ring(1), wakes()]).toEqual([true, false, 1]);
    expect(words[WORD.sleeping]).toBe(0);
  });

  it('of a hostile peer is read without harm', () => {
    const { words, news } = page();
    for (let round = 0; round < 2000; round++) {
      for (const at of [WORD.news, WORD.overflow, WORD.taken, WORD.sleeping, 256 + (round % 512)])
        words[at] = Math.imul(round + at, 0x9e3779b1);
      for (const slot of take(news)) expect(slot === 'all' || (slot >= 0 && slot <= 0xffff)).toBe(true);
    }
  });

  it('of a peer that lies about what it has taken costs only that peer its news', () => {
    const { words, doorbell } = page();
    for (let round = 0; round < 5000; round++) {
      words[WORD.taken] = Math.imul(round, 0x9e3779b1);
      expect(() => doorbell.ring(round % DOORBELL_SLOTS)).not.toThrow();
      expect(typeof doorbell.pending(round)).toBe('boolean');
    }
  });
});

describe('a connection', () => {
  /** A channel whose loop does not turn: everything happens in one turn. */
  function channel(doorbell: Doorbell): SmcdChannel {
    const hub = { turn: 1, hot: false, expectNews: () => {}, countBusyPoll: () => {} };
    const element = () => ({ name: { segment: 0, index: 0 }, memory: allocateShared(16_384) });
    return new SmcdChannel({ hub, retire: () => {} } as never, doorbell, element() as never, 0, element() as never, 9);
  }

  it('leaves one token for all its news until that is taken', () => {
    const { doorbell, news } = page();
    const one = channel(doorbell);
    for (let i = 0; i < 5; i++) one.notify();
    expect(doorbell.count).toBe(1);
    expect(take(news)).toEqual([9]);
    one.notify();
    expect(take(news)).toEqual([9]);
  });

  it('whose news went by overflow tells its next ones, though tokens of others still wait', () => {
    const { words, doorbell } = page();
    const one = channel(doorbell);
    for (let i = 0; i < TOKENS; i++) doorbell.ring(1);
    one.notify();
    expect(words[WORD.overflow]).toBe(1);
    // The peer had seen all tokens but the last when it began, now says so, and looks at all connections.
    words[WORD.taken] = TOKENS - 1;
    words[WORD.overflow] = 0;
    one.notify();
    const toldByToken = (words[WORD.news] as number) === (((TOKENS + 1) << 16) | 9);
    expect(toldByToken || words[WORD.overflow] === 1).toBe(true);
  });
});
