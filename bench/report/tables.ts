// tables.ts - the tables of a report: the same rows for the terminal and for the HTML page.

import type { HttpClient } from '../cases/http-clients.js';
import { laneOf } from '../lanes.js';
import type { Found } from '../run.js';
import type { CaseName, Metric, Ratio, Result, Subject } from './results.js';
import { byteName, digits, rate, ratio } from './text.js';
import { frameTables, threadTables } from './thread-tables.js';

export interface Table {
  readonly title: string;
  readonly note: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const label = ({ transport, mode }: Pick<Subject, 'transport' | 'mode'>) => laneOf(transport, mode).label;
const POLLING = "Ours poll by default (busyPoll 'auto'); \"no polling\" is busyPoll 'off'. Processes are not pinned to cores.";

export function tables(found: Found): Table[] {
  const results = found.recorder.results();
  const ratios = found.recorder.ratios();
  const made = [
    ...trafficTables(results, ratios),
    ...connectTables(results, ratios),
    ...httpTables(results, ratios),
    ...onecoreTables(results, ratios),
    ...threadTables(results, ratios),
    ...frameTables(results, ratios),
  ];
  return [floorTable(found), ...made, ...specialTables(found), ...absenceTables(found)].filter((table) => table.rows.length > 0);
}

/** The ratio of a row's metric to another transport, as text. */
export function timesOf(ratios: readonly Ratio[], row: Result, metric: Metric, to: string): string {
  const same = (of: Ratio) =>
    of.case === row.case &&
    of.transport === row.transport &&
    of.mode === row.mode &&
    of.bytes === row.bytes &&
    of.connections === row.connections &&
    of.client === row.client &&
    of.contact === row.contact &&
    of.touch === row.touch &&
    of.metric === metric &&
    of.to === to;
  return ratio(ratios.find(same)?.times);
}

function floorTable({ floor }: Found): Table {
  return {
    title: "The machine's floor",
    note: 'What this machine can do at best, measured in the same run.',
    header: ['', 'value'],
    rows: [
      ['wake-up of a sleeping thread and back', `${digits(floor.wakeup_rtt_us)} us`],
      [
        'spin ring between two threads, 64 B and back',
        floor.spin_rtt_us === undefined ? 'no second core to be had' : `${digits(floor.spin_rtt_us)} us`,
      ],
      ['64 KiB messages through it, both ends touch every line', `${digits(floor.transfer_gb_per_s)} GB/s`],
      ['copy of 1 MiB', `${digits(floor.memcpy_gb_per_s)} GB/s`],
    ],
  };
}

export const ofCase = (results: readonly Result[], name: CaseName) => results.filter((row) => row.case === name);
const sizesOf = (results: readonly Result[]) => [...new Set(results.map((row) => row.bytes))];

function trafficTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  const roundtrip = ofCase(results, 'roundtrip');
  const oneway = ofCase(results, 'oneway');
  return [
    ...sizesOf(roundtrip).map((bytes) => ({
      title: `Round trip, ${byteName(bytes)}`,
      note: POLLING,
      header: ['', 'p50 us', 'p99 us', 'p50 vs TCP', 'vs Unix'],
      rows: roundtrip
        .filter((row) => row.bytes === bytes)
        .map((row) => [
          label(row),
          digits(row.p50_us),
          digits(row.p99_us),
          timesOf(ratios, row, 'p50_us', 'tcp'),
          timesOf(ratios, row, 'p50_us', 'uds'),
        ]),
    })),
    ...sizesOf(oneway).map((bytes) => ({
      title: `One way, ${byteName(bytes)}`,
      note: `A plain loop of write(), not corked; the ring publishes up to 16 KiB at once, records go in batches of up to 64. ${POLLING}`,
      header: ['', 'messages/s', 'GB/s', 'CPU s/GB', 'rate vs TCP', 'vs Unix'],
      rows: oneway
        .filter((row) => row.bytes === bytes)
        .map((row) => [
          label(row),
          rate(row.msgs_per_s),
          digits(row.gb_per_s),
          digits(row.cpu_s_per_gb),
          timesOf(ratios, row, 'msgs_per_s', 'tcp'),
          timesOf(ratios, row, 'msgs_per_s', 'uds'),
        ]),
    })),
  ];
}

function connectTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  const rows = ofCase(results, 'connect');
  return (['first', 'later'] as const).map((contact) => ({
    title:
      contact === 'first' ? 'Connecting, first contact of a new process' : 'Connecting, later, after up to 2,000 connects of the process',
    note: 'Until both ends may send: the client has the first byte of a server that sends one as soon as it may.',
    header: ['', 'p50 us', 'p99 us', 'connections/s', 'p50 vs TCP'],
    rows: rows
      .filter((row) => row.contact === contact)
      .map((row) => [label(row), digits(row.p50_us), digits(row.p99_us), rate(row.msgs_per_s), timesOf(ratios, row, 'p50_us', 'tcp')]),
  }));
}

const HTTP_NOTES: Record<HttpClient, string> = {
  agent: 'node:http at both ends, http.Agent with keep-alive; responses of 100 bytes. The client needs more CPU than the server.',
  light: 'node:http serves, a light load generator over a raw socket asks; responses of 100 bytes.',
};

function httpTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  const all = ofCase(results, 'http');
  const tables = new Map(
    all.map((row) => [
      `${row.client} ${row.connections}`,
      all.filter((of) => of.client === row.client && of.connections === row.connections),
    ]),
  );
  return [...tables.values()].map((rows) => {
    const { connections, client = 'agent' } = rows[0] as Result;
    return {
      title: `HTTP keep-alive, ${connections} connection${connections === 1 ? '' : 's'}, ${client === 'agent' ? 'http.Agent' : 'light client'}`,
      note: HTTP_NOTES[client],
      header: ['', 'p50 us', 'p99 us', 'requests/s', 'p50 vs TCP', 'requests vs TCP'],
      rows: rows.map((row) => [
        label(row),
        digits(row.p50_us),
        digits(row.p99_us),
        rate(row.msgs_per_s),
        timesOf(ratios, row, 'p50_us', 'tcp'),
        timesOf(ratios, row, 'msgs_per_s', 'tcp'),
      ]),
    };
  });
}

function onecoreTables(results: readonly Result[], ratios: readonly Ratio[]): Table[] {
  const note = 'Both processes pinned to the same CPU (taskset).';
  const rows = ofCase(results, 'onecore').map((row) => [
    label(row),
    digits(row.p50_us),
    digits(row.p99_us),
    timesOf(ratios, row, 'p50_us', 'tcp'),
  ]);
  return [{ title: 'One usable core, round trip, 64 B', note, header: ['', 'p50 us', 'p99 us', 'p50 vs TCP'], rows }];
}

function specialTables({ special: { fallback, polite = [], idle = [], many = [] } }: Found): Table[] {
  return [
    {
      title: 'Our Socket on plain TCP against node:net',
      note: fallback === undefined ? '' : `Medians of ${fallback.pairs} interleaved pairs; 1 is no difference, less is worse.`,
      header: ['', 'ratio'],
      rows:
        fallback === undefined
          ? []
          : [
              ['round trip 64 B', fallback.roundtrip_ratio.toFixed(3)],
              ['throughput 64 KiB', fallback.throughput_ratio.toFixed(3)],
              ['connections/s', fallback.connects_ratio.toFixed(3)],
            ],
    },
    {
      title: 'The rest of a process that carries ping-pong traffic (p99, us)',
      note: 'Lateness of a 1 ms timer, and a plain TCP echo within the same process.',
      header: ['', 'timer', 'timer, loaded', 'echo', 'echo, loaded'],
      rows: polite.map((row) => [
        label(row),
        digits(row.timer_p99_us),
        digits(row.timer_p99_us_loaded),
        digits(row.echo_p99_us),
        digits(row.echo_p99_us_loaded),
      ]),
    },
    {
      title: 'Idle connections, CPU ms per 10 s',
      note: '',
      header: ['', 'connections', 'server', 'client'],
      rows: idle.map((row) => [label(row), String(row.connections), digits(row.server_cpu_ms), digits(row.client_cpu_ms)]),
    },
    {
      title: 'Many connections in turn, 64 B requests, 10 under way',
      note: 'Descriptors and memory are what opening the connections added; memory is private memory of both processes plus shared memory.',
      header: ['', 'connections', 'CPU us/message', 'messages/s', 'server fds', 'client fds', 'memory each'],
      rows: many.map((row) => [
        label(row),
        String(row.connections),
        digits(row.cpu_us_per_message),
        rate(row.msgs_per_s),
        String(row.server_descriptors),
        String(row.client_descriptors),
        byteName(row.bytes_per_connection),
      ]),
    },
  ];
}

function absenceTables({ recorder }: Found): Table[] {
  const rows: string[][] = [];
  for (const { case: name, lane, failure, reason } of recorder.absences) {
    const why = `${failure === 'unavailable' ? 'not available' : 'FAILED'}: ${reason}`;
    const same = rows.find((row) => row[0] === lane.label && row[1] === why);
    if (same === undefined) rows.push([lane.label, why, name]);
    else same[2] += `, ${name}`;
  }
  return [{ title: 'Not measured, or broken off', note: '', header: ['', 'why', 'cases'], rows }];
}
