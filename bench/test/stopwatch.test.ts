import { expect, it } from 'vitest';
import { now } from '../clock.js';
import { Stopwatch } from '../talkers/stopwatch.js';

const spin = (us: number): void => {
  for (const end = now() + us; now() < end; );
};

it('times quick laps by groups and single ones in between', () => {
  const watch = new Stopwatch(50, new Float64Array(1 << 16));
  let laps = 1;
  while (watch.lap()) laps++;
  const { p50_us, p99_us, count } = watch.figures();
  // The last group may not have been whole.
  expect(laps - count).toBeLessThan(50);
  expect(count).toBeGreaterThan(1000);
  expect(p50_us).toBeGreaterThan(0);
  expect(p99_us).toBeGreaterThanOrEqual(p50_us);
});

it('times slow laps one by one', () => {
  const watch = new Stopwatch(50, new Float64Array(1 << 16));
  let laps = 0;
  do {
    spin(20);
    laps++;
  } while (watch.lap());
  const { p50_us, count } = watch.figures();
  expect(count).toBe(laps);
  expect(p50_us).toBeGreaterThanOrEqual(20);
});

it('stops when its memory is full', () => {
  const watch = new Stopwatch(60_000, new Float64Array(100));
  while (watch.lap());
  expect(watch.figures().count).toBeGreaterThanOrEqual(100);
});
