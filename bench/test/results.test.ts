// results.test.ts - medians over rounds, and ratios taken within a round.

import { describe, expect, it } from 'vitest';
import { Recorder, type Subject } from '../report/results.js';

const tcp: Subject = { case: 'roundtrip', transport: 'tcp', mode: 'stream', bytes: 64 };
const ours: Subject = { case: 'roundtrip', transport: 'smcd', mode: 'stream', bytes: 64 };

describe('results', () => {
  it('takes the median over the rounds of each figure', () => {
    const recorder = new Recorder();
    for (const [round, p50_us] of [30, 10, 20].entries()) recorder.add(round, { ...tcp, p50_us });
    expect(recorder.results()).toEqual([{ ...tcp, p50_us: 20 }]);
  });

  it('compares within a round and leaves out rounds that lack one side', () => {
    const recorder = new Recorder();
    for (const [round, p50_us] of [50, 100, 60].entries()) recorder.add(round, { ...tcp, p50_us });
    recorder.add(0, { ...ours, p50_us: 1 });
    recorder.add(1, { ...ours, p50_us: 5 });
    const [ratio] = recorder.ratios().filter(({ to }) => to === 'tcp');
    expect(ratio).toMatchObject({ ...ours, metric: 'p50_us', times: 35, rounds: [50, 20] });
  });

  it('calls more better for rates and less better for times', () => {
    const recorder = new Recorder();
    recorder.add(0, { ...tcp, p50_us: 10, gb_per_s: 1 });
    recorder.add(0, { ...ours, p50_us: 5, gb_per_s: 3 });
    expect(recorder.times(ours, tcp, 'p50_us')).toEqual([2]);
    expect(recorder.times(ours, tcp, 'gb_per_s')).toEqual([3]);
  });
});
