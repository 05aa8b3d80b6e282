// slow.test.ts - consumers that are slower than their producers, for a minute or ten (SMC_TEST_LONG=1): everything comes, in order,
// producers wait, and memory stays flat.

import { expect, it } from 'vitest';
import { LONG } from '../memory-order/children.js';
import { Peer } from '../support/peer.js';
import { growth, type Sample, sample } from './measure.js';

const SECONDS = LONG ? 600 : 55;
const WAYS = ['records', 'frames', 'stream', 'rxjs records', 'rxjs frames', 'rxjs into', 'map frames'];

/** What was wrong. The process checks what comes, and how far its producer is ahead. */
async function problemsOf(way: string): Promise<string[]> {
  const peer = new Peer('../soak/slow', { way });
  const samples: Sample[] = [];
  const received: number[] = [];
  while (samples.length < SECONDS) {
    received.push((await peer.message('received')).received as number);
    samples.push(sample(peer.pid));
  }
  peer.kill('SIGKILL');
  console.log(`${way}: ${received.at(-1)} received`);
  const [middle, end] = [received[SECONDS >> 1] as number, received.at(-1) as number];
  return [...(end > middle ? [] : [`${way} stood still`]), ...growth(way, samples)];
}

// All at the same time, each in a process of its own.
it('a slow consumer stops producers over channels, with RxJS and through pools, loses nothing, and costs no memory', {
  timeout: (SECONDS + 240) * 1000,
}, async () => {
  const problems = await Promise.all(WAYS.map(problemsOf));
  expect(problems.flat()).toEqual([]);
});
