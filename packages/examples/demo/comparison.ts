// comparison.ts - TCP, a Unix socket and this library side by side, measured now on this machine by the benchmark.

import { heading, Progress, table } from './text.js';

/** What is used of the benchmark's measure.ts. */
interface Request {
  readonly transport: string;
  readonly mode: string;
  readonly kind: 'roundtrip' | 'oneway';
  readonly bytes: number;
  readonly budgetMs: number;
}
interface Figures {
  readonly p50_us?: number;
  readonly msgs_per_s?: number;
  readonly gb_per_s?: number;
}
interface Measurements {
  measure(request: Request): Promise<Figures>;
  stop(): Promise<void>;
}

interface Row {
  readonly label: string;
  readonly kind: 'roundtrip' | 'oneway';
  readonly bytes: number;
  readonly value: (figures: Figures) => number | undefined;
  readonly show: (value: number) => string;
  /** Whether less is better. */
  readonly less: boolean;
}

const ROWS: readonly Row[] = [
  {
    label: 'round trip of 64 B, median',
    kind: 'roundtrip',
    bytes: 64,
    value: (figures) => figures.p50_us,
    show: (value) => `${value.toFixed(1)} us`,
    less: true,
  },
  {
    label: 'messages of 64 B, one way',
    kind: 'oneway',
    bytes: 64,
    value: (figures) => figures.msgs_per_s,
    show: (value) => `${(value / 1e6).toFixed(2)} M/s`,
    less: false,
  },
  {
    label: 'chunks of 64 KiB, one way',
    kind: 'oneway',
    bytes: 65536,
    value: (figures) => figures.gb_per_s,
    show: (value) => `${value.toFixed(2)} GB/s`,
    less: false,
  },
];

const TCP = { name: 'TCP', transport: 'tcp', mode: 'stream' };
const UNIX = { name: 'Unix socket', transport: 'uds', mode: 'stream' };
const OURS = {
  smcd: { name: 'SMC-D', transport: 'smcd', mode: 'stream' },
  other: { name: 'our socket on TCP', transport: 'tcp', mode: 'smc-fallback' },
};

const ROUNDS = 3;
const BUDGET_MS = 250;

/**
 * Measures every cell in each of three rounds and prints medians: what disturbs the machine meets all transports alike, and the first round,
 * in which code is still being compiled, decides nothing.
 */
export async function compare(transport: string | undefined): Promise<void> {
  heading('4. Side by side: write() and the data event of a socket, two processes');
  const measurements = await benchmark();
  const lanes = [TCP, UNIX, transport === 'smcd' ? OURS.smcd : OURS.other];
  const cells = ROWS.map(() => lanes.map((): number[] => []));
  const progress = new Progress(ROUNDS * ROWS.length * lanes.length);
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [r, row] of ROWS.entries()) {
        for (const [l, lane] of lanes.entries()) {
          progress.begin(`round ${round} of ${ROUNDS}: ${row.label}, ${lane.name}`);
          const { kind, bytes, value } = row;
          const figure = value(
            await measurements.measure({ transport: lane.transport, mode: lane.mode, kind, bytes, budgetMs: BUDGET_MS }),
          );
          if (figure !== undefined) cells[r]?.[l]?.push(figure);
        }
      }
    }
  } finally {
    await measurements.stop();
  }
  progress.end();
  const [tcp, unix] = [0, 1];
  const names = lanes.map((lane) => lane.name);
  const body = ROWS.map((row, r) => {
    const values = (cells[r] ?? []).map(median);
    const ours = values[2] ?? Number.NaN;
    const times = (other: number | undefined) => `${(row.less ? (other ?? Number.NaN) / ours : ours / (other ?? Number.NaN)).toFixed(1)}x`;
    return [row.label, ...values.map(row.show), times(values[tcp]), times(values[unix])];
  });
  table([['', ...names, 'better than TCP', 'than Unix socket'], ...body], [1, 2, 3, 4, 5]);
  console.log('  Absolute figures hold for this machine now; the full benchmark is npm run bench.');
}

/** The benchmark is not part of this package; it is compiled beside it. */
async function benchmark(): Promise<Measurements> {
  const module = (await import(new URL('../../../../bench/dist/measure.js', import.meta.url).href)) as {
    Measurements: new () => Measurements;
  };
  return new module.Measurements();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
