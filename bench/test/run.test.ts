// run.test.ts - the benchmark as a program: a small run between real processes, and its exit codes.

import { describe, expect, it } from 'vitest';
import { bench, measured, needsBuild } from './program.js';

describe('the benchmark', () => {
  needsBuild();

  it('measures between two processes and writes its figures', async () => {
    const lanes = ['--only', 'roundtrip,oneway', '--transports', 'tcp/stream,uds', '--sizes', '64'];
    const { code, stdout, figures } = await measured<{
      results: { case: string; transport: string }[];
      floor: { wakeup_rtt_us: number };
    }>(...lanes);
    expect(code).toBe(0);
    expect(stdout).toContain('Round trip, 64 B');
    expect(figures.floor.wakeup_rtt_us).toBeGreaterThan(0);
    expect(figures.results.map((row) => `${row.case} ${row.transport}`)).toEqual([
      'roundtrip tcp',
      'roundtrip uds',
      'oneway tcp',
      'oneway uds',
    ]);
  }, 120_000);

  it('measures between threads, typed frames and pools, and judges what it found', async () => {
    const transports = 'worker,message-port,dgram,atomics,piscina,tcp/frames';
    const { code, stdout, stderr, figures } = await measured<{
      results: { case: string; transport: string; mode: string; touch?: string; msgs_per_s?: number; p50_us?: number }[];
      targets: { goal: string; verdict: string }[];
    }>('--only', 'threads,frames,pool', '--transports', transports, '--targets');
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('FAILED')]);
    expect(stdout).toContain('Piscina, 64 KiB frames');
    const { results, targets } = figures;
    for (const row of results) expect(row.p50_us ?? row.msgs_per_s).toBeGreaterThan(0);
    const rows = results.map((row) => [row.case, row.transport, row.mode, row.touch ?? ''].join(' ').trim());
    for (const row of [
      'threads-roundtrip worker ring',
      'threads-roundtrip atomics wait-async',
      'threads-oneway worker records-single',
      'threads-oneway dgram stream',
      'frames worker frames elements',
      'frames message-port recycled lines',
      'frames tcp frames lines',
      'pool piscina transfer',
      'pool piscina frames',
    ]) {
      expect(rows).toContain(row);
    }
    const judged = targets.filter(({ verdict }) => verdict !== 'not measured').map(({ goal }) => goal);
    expect(judged).toContain('threads, records 64 B, messages/s against MessagePort');
    expect(judged).toContain('Piscina, frames 64 KiB, GB/s against transfer lists');
  }, 240_000);

  it('ends with 2 and a sentence for arguments it does not know', async () => {
    const { code, stderr } = await bench('--transports', 'carrier-pigeon');
    expect(code).toBe(2);
    expect(stderr).toContain('carrier-pigeon');
  }, 60_000);
});
