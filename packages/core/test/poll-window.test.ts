// poll-window.test.ts - how long an end looks for news before it sleeps. Times are microseconds, given.

import { describe, expect, it } from 'vitest';
import { PollWindow } from '../src/worker/poll-window.js';

/** Sleeps and wake-ups with this gap between activity and news, one after the other. */
function wakeUps(window: PollWindow, gap: number, count: number, from = 0): number {
  let now = from;
  for (let i = 0; i < count; i++) {
    window.active(now);
    now += gap;
    window.woken(now);
  }
  return now;
}

describe('the polling window', () => {
  it('grows while news come soon after a sleep began, to 200 us and no further', () => {
    const window = PollWindow.of('auto', 2);
    expect(window.micros).toBe(0);
    const seen: number[] = [];
    for (let i = 0; i < 6; i++) {
      wakeUps(window, 80, 1, 1000 * i);
      seen.push(window.micros);
    }
    expect(seen).toEqual([20, 40, 80, 160, 200, 200]);
  });

  it('closes when news come later than any window would have lasted', () => {
    const window = PollWindow.of('auto', 2);
    const now = wakeUps(window, 80, 6);
    wakeUps(window, 5000, 1, now);
    expect(window.micros).toBe(0);
  });

  it('is open from the last activity on, for its length', () => {
    const window = PollWindow.of('auto', 2);
    const now = wakeUps(window, 80, 6);
    expect(window.open(now + 199)).toBe(true);
    expect(window.open(now + 200)).toBe(false);
    window.active(now + 150);
    expect(window.open(now + 349)).toBe(true);
  });

  it('spends at most 20 % of a period on polling that found nothing, then is shut until the next', () => {
    const window = PollWindow.of('auto', 2);
    let now = wakeUps(window, 80, 6);
    const begin = now;
    let spent = 0;
    // News always come just after the polling was given up: each time as much was spent for nothing.
    while (window.micros > 0) {
      window.slept(now + 200);
      spent += 200;
      now += 240;
      window.woken(now);
    }
    expect(spent).toBe(20_000);
    expect(now - begin).toBeLessThan(100_000);
    window.active(begin + 100_000);
    window.woken(begin + 100_080);
    expect(window.micros).toBe(200);
  });

  it('is none on one processor, with auto as with off; a number is kept whatever it costs', () => {
    for (const window of [PollWindow.of('auto', 1), PollWindow.of('off', 8)]) {
      wakeUps(window, 80, 6);
      expect(window.micros).toBe(0);
    }
    const fixed = PollWindow.of(500, 1);
    for (let i = 0; i < 1000; i++) fixed.slept(i * 1000);
    expect(fixed.micros).toBe(500);
  });
});
