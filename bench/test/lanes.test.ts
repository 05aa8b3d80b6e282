// lanes.test.ts - every lane between two processes that a usual run has, in a short one: it moves messages, and its figures are those of
// its case and nothing else.

import { probe } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import { LANES } from '../lanes.js';
import { measured, needsBuild } from './program.js';

interface Figures {
  readonly machine: object;
  readonly floor: Readonly<Record<string, number>>;
  readonly results: readonly ({ readonly case: string; readonly transport: string; readonly mode: string } & Readonly<
    Record<string, unknown>
  >)[];
  readonly ratios: readonly { readonly case: string; readonly transport: string; readonly to: string; readonly times: number }[];
  readonly absent: readonly { readonly transport: string; readonly failure: string; readonly reason: string }[];
}

const above0 = expect.toSatisfy((value: unknown) => typeof value === 'number' && Number.isFinite(value) && value > 0) as number;

/** Exactly what a row of a case has, so that a name that changes is seen here before it is missed by who reads the file. */
const shapes: Readonly<Record<string, object>> = {
  roundtrip: { bytes: 64, p50_us: above0, p99_us: above0, samples: above0, budget_ms: above0 },
  oneway: {
    bytes: 64,
    msgs_per_s: above0,
    gb_per_s: above0,
    cpu_s_per_gb: expect.any(Number) as number,
    samples: above0,
    budget_ms: above0,
  },
};

/** Runs round trips and one way of this transport beside TCP, and checks what is in the file. */
async function run(transport: string): Promise<Figures> {
  const cases = Object.keys(shapes);
  const transports = `tcp/stream,${transport}`;
  const ended = await measured<Figures>('--only', cases.join(','), '--transports', transports, '--sizes', '64');
  expect(ended.code, ended.stderr).toBe(0);
  return ended.figures;
}

function check({ machine, floor, results, ratios, absent }: Figures, transport: string): void {
  expect(absent).toEqual([]);
  expect(machine).toMatchObject({ node: expect.any(String) as string });
  expect(floor.wakeup_rtt_us).toBeGreaterThan(0);
  const modes = LANES.filter((lane) => lane.transport === transport && lane.part === 'traffic').map(({ mode }) => mode);
  expect(modes.length).toBeGreaterThan(0);
  for (const [name, shape] of Object.entries(shapes)) {
    const rows = results.filter((row) => row.case === name && row.transport === transport);
    expect(rows.map(({ mode }) => mode)).toEqual(modes);
    for (const { busy_poll: polls, ...row } of rows) {
      expect(row).toEqual({ case: name, transport, mode: row.mode, ...shape });
      expect(polls).toBe(transport === 'smcd' ? (row.mode.endsWith('-off') ? 'off' : 'auto') : undefined);
    }
    const compared = ratios.filter((ratio) => ratio.case === name && ratio.transport === transport && ratio.to === 'tcp');
    expect(compared.length).toBeGreaterThanOrEqual(modes.length);
    for (const { times } of compared) expect(times).toBeGreaterThan(0);
  }
}

describe('the lanes between two processes', { timeout: 240_000 }, () => {
  needsBuild();

  it('smcd: stream, ring and records, with and without polling', async (context) => {
    context.skip(!probe().usable.includes('smcd'), 'SMC-D cannot be used here');
    check(await run('smcd'), 'smcd');
  });

  it('the IPC of child_process', async () => check(await run('ipc'), 'ipc'));

  it('zeromq', async (context) => {
    const figures = await run('zeromq');
    const missing = figures.absent.find(({ transport, failure }) => transport === 'zeromq' && failure === 'unavailable');
    context.skip(missing !== undefined, missing?.reason);
    check(figures, 'zeromq');
  });
});
