// thread-tables.ts - the tables of what is measured between threads, of typed frames, and of pools.

import { laneOf, type Touch } from '../lanes.js';
import type { Metric, Ratio, Result } from './results.js';
import { label, ofCase, type Table, timesOf } from './tables.js';
import { byteName, digits, rate } from './text.js';

export function threadTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  return [
    {
      title: 'Two worker threads, round trip, 64 B',
      note: 'Ours poll by default. The spinning ones do nothing else.',
      header: ['', 'p50 us', 'p99 us', 'p50 vs MessagePort', 'vs waitAsync', 'vs spinning'],
      rows: ofCase(results, 'threads-roundtrip').map((row) => [
        label(row),
        digits(row.p50_us),
        digits(row.p99_us),
        ...['message-port', 'wait-async', 'spin'].map((to) => timesOf(ratios, row, 'p50_us', to)),
      ]),
    },
    {
      title: 'Two worker threads, one way, 64 B',
      note: 'Both ends in event loops. Records go in batches of up to 64 unless it says otherwise.',
      header: ['', 'messages/s', 'GB/s', 'rate vs MessagePort', 'vs UDP'],
      rows: ofCase(results, 'threads-oneway').map((row) => [
        label(row),
        rate(row.msgs_per_s),
        digits(row.gb_per_s),
        ...['message-port', 'dgram'].map((to) => timesOf(ratios, row, 'msgs_per_s', to)),
      ]),
    },
  ];
}

const TOUCHED: Record<Touch, string> = {
  elements: 'every element written and summed',
  lines: 'one word of each 64-byte line written and summed',
};
const METRIC: Metric = 'gb_per_s';

export function frameTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  const rows = ofCase(results, 'frames');
  const of = (between: 'threads' | 'processes', touch: Touch, bases: Readonly<Record<string, string>>): Table => ({
    title: `Typed frames of ${byteName(rows[0]?.bytes ?? 0)} between two ${between}, ${TOUCHED[touch]}`,
    note: '',
    header: ['', 'frames/s', 'GB/s', ...Object.values(bases)],
    rows: rows
      .filter((row) => row.touch === touch && laneOf(row.transport, row.mode).between === between)
      .map((row) => [
        label(row),
        rate(row.msgs_per_s),
        digits(row.gb_per_s),
        ...Object.keys(bases).map((to) => timesOf(ratios, row, METRIC, to)),
      ]),
  });
  const pool = ofCase(results, 'pool');
  return [
    of('threads', 'elements', { transfer: 'vs transfer list', recycled: 'vs sent back' }),
    of('threads', 'lines', { transfer: 'vs transfer list', recycled: 'vs sent back' }),
    of('processes', 'lines', { tcp: 'vs TCP', ipc: 'vs IPC' }),
    {
      title: `Piscina, ${byteName(pool[0]?.bytes ?? 0)} frames there and back through 2 workers`,
      note: 'The main thread touches every line of frames and answers, a worker computes every element in its place; arrays are used again.',
      header: ['', 'frames/s', 'GB/s', 'vs transfer lists'],
      rows: pool.map((row) => [label(row), rate(row.msgs_per_s), digits(row.gb_per_s), timesOf(ratios, row, METRIC, 'transfer')]),
    },
  ];
}
