// results.ts - what a run found: one row per figure, its value in every round, and ratios between rows.

import { median } from '../clock.js';
import type { HttpClient } from '../cases/http-clients.js';
import type { Lane, Mode, Touch, TransportName } from '../lanes.js';

export type CaseName = 'roundtrip' | 'oneway' | 'connect' | 'http' | 'onecore' | 'threads-roundtrip' | 'threads-oneway' | 'frames' | 'pool';

/** What a row is about. */
export interface Subject {
  readonly case: CaseName;
  readonly transport: TransportName;
  readonly mode: Mode;
  /** Message size; of an HTTP response, its body; of a connection, nothing. */
  readonly bytes: number;
  /** HTTP: keep-alive connections at once. */
  readonly connections?: number;
  /** HTTP: the client that asks. */
  readonly client?: HttpClient;
  /** Connect: the first of a new client process, or a later one. */
  readonly contact?: 'first' | 'later';
  /** Frames: what both ends do with each. */
  readonly touch?: Touch;
}

/** Figures that do not apply to a case are absent. */
export interface Figures {
  p50_us?: number;
  p99_us?: number;
  /** Messages, connections or requests per second. */
  msgs_per_s?: number;
  /** 10^9 bytes per second. */
  gb_per_s?: number;
  /** CPU seconds of both processes per 10^9 bytes. */
  cpu_s_per_gb?: number;
  /** Round trips or messages that the figures come from, per round. */
  samples?: number;
  /** Milliseconds measured, per round. */
  budget_ms?: number;
}

export type Result = Subject & Figures;
export type Metric = keyof Omit<Figures, 'samples' | 'budget_ms'>;

/** Metrics of which less is better; a ratio is always "how many times better". */
const LESS_IS_BETTER: readonly Metric[] = ['p50_us', 'p99_us', 'cpu_s_per_gb'];

export interface Ratio extends Subject {
  readonly metric: Metric;
  /** A transport, or one in a certain mode. */
  readonly to: string;
  /** How many times better than that transport: the median over the rounds, and the rounds. */
  readonly times: number;
  readonly rounds: readonly number[];
}

const subjectKey = (of: Subject) =>
  [of.case, of.transport, of.mode, of.bytes, of.connections ?? '', of.client ?? '', of.contact ?? '', of.touch ?? ''].join(' ');

function subjectOf({ case: name, transport, mode, bytes, connections, client, contact, touch }: Subject): Subject {
  return {
    case: name,
    transport,
    mode,
    bytes,
    ...(connections && { connections }),
    ...(client && { client }),
    ...(contact && { contact }),
    ...(touch && { touch }),
  };
}

interface Base {
  readonly to: string;
  readonly transport: TransportName;
  readonly mode: Mode;
}

/** What the rows of a case are compared with. */
const PLAIN: readonly Base[] = [
  { to: 'tcp', transport: 'tcp', mode: 'stream' },
  { to: 'uds', transport: 'uds', mode: 'stream' },
];
const BASES: Readonly<Partial<Record<CaseName, readonly Base[]>>> = {
  'threads-roundtrip': [
    { to: 'message-port', transport: 'message-port', mode: 'clone' },
    { to: 'wait-async', transport: 'atomics', mode: 'wait-async' },
    { to: 'spin', transport: 'atomics', mode: 'spin' },
  ],
  'threads-oneway': [
    { to: 'message-port', transport: 'message-port', mode: 'clone' },
    { to: 'dgram', transport: 'dgram', mode: 'stream' },
  ],
  frames: [
    { to: 'transfer', transport: 'message-port', mode: 'transfer' },
    { to: 'recycled', transport: 'message-port', mode: 'recycled' },
    { to: 'tcp', transport: 'tcp', mode: 'frames' },
    { to: 'ipc', transport: 'ipc', mode: 'frames' },
  ],
  pool: [{ to: 'transfer', transport: 'piscina', mode: 'transfer' }],
};

/** Why a lane has no figures. */
export interface Absence {
  readonly case: string;
  readonly lane: Lane;
  readonly failure: 'unavailable' | 'failed';
  readonly reason: string;
}

export class Recorder {
  readonly absences: Absence[] = [];
  readonly #rows = new Map<string, { subject: Subject; rounds: Map<number, Figures> }>();

  add(round: number, { p50_us, p99_us, msgs_per_s, gb_per_s, cpu_s_per_gb, samples, budget_ms, ...subject }: Result): void {
    const key = subjectKey(subject);
    const row = this.#rows.get(key) ?? { subject, rounds: new Map<number, Figures>() };
    this.#rows.set(key, row);
    const figures = { p50_us, p99_us, msgs_per_s, gb_per_s, cpu_s_per_gb, samples, budget_ms };
    row.rounds.set(round, Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined)));
  }

  /** Every row, with the median over the rounds of each figure. */
  results(): Result[] {
    return [...this.#rows.values()].map(({ subject, rounds }) => {
      const names = new Set([...rounds.values()].flatMap((figures) => Object.keys(figures))) as Set<keyof Figures>;
      const figures = [...names].map((name) => [name, median([...rounds.values()].flatMap((of) => of[name] ?? []))]);
      return { ...subject, ...Object.fromEntries(figures) };
    });
  }

  find(subject: Subject): Result | undefined {
    return this.results().find((result) => subjectKey(result) === subjectKey(subject));
  }

  /** A figure in every round, by round. */
  rounds(subject: Subject, metric: Metric): Map<number, number> {
    const row = this.#rows.get(subjectKey(subject));
    return new Map(
      [...(row?.rounds ?? [])].flatMap(([round, figures]) => (figures[metric] === undefined ? [] : [[round, figures[metric]]])),
    );
  }

  /** In each round that has both: how many times better `subject` is than `base`. */
  times(subject: Subject, base: Subject, metric: Metric): number[] {
    const of = this.rounds(base, metric);
    return [...this.rounds(subject, metric)].flatMap(([round, value]) => {
      const other = of.get(round);
      if (other === undefined) return [];
      return [LESS_IS_BETTER.includes(metric) ? other / value : value / other];
    });
  }

  /** Every row against TCP and Unix sockets, or what else its case is compared with. */
  ratios(): Ratio[] {
    return this.results().flatMap((result) =>
      (BASES[result.case] ?? PLAIN).flatMap(({ to, transport, mode }) => {
        const base: Subject = { ...result, transport, mode };
        if (subjectKey(base) === subjectKey(result)) return [];
        return (['p50_us', 'p99_us', 'msgs_per_s', 'gb_per_s', 'cpu_s_per_gb'] as const).flatMap((metric) => {
          const rounds = this.times(result, base, metric);
          if (rounds.length === 0) return [];
          return [{ ...subjectOf(result), metric, to, times: median(rounds), rounds }];
        });
      }),
    );
  }
}
