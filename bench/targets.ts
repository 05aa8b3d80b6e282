// targets.ts - the goals, as a table: what is compared, with which bound, and when the comparison counts.

import { laneOf, type Mode } from './lanes.js';
import type { Metric, Subject } from './report/results.js';
import type { Found } from './run.js';
import { inverse, medianOf, subject, type Target } from './target.js';
import { THREAD_TARGETS } from './thread-targets.js';

export interface Verdict {
  readonly goal: string;
  readonly bound: string;
  /** Undefined: not measured in this run. */
  readonly value: number | undefined;
  readonly unit: string;
  readonly verdict: 'pass' | 'FAIL' | 'printed only' | 'not measured';
}

const WAKEUP_US = 30;

/** How many times better an smcd mode is than node:net over TCP or a Unix socket. */
function times(mode: Mode, base: 'tcp' | 'uds', metric: Metric, of: Omit<Subject, 'transport' | 'mode'>): Target['value'] {
  return ({ recorder }) => medianOf(recorder.times(subject(laneOf('smcd', mode), of), subject(laneOf(base, 'stream'), of), metric));
}

/** Round trips in spin-ring round trips, round by round. */
function spins(mode: Mode): Target['value'] {
  return ({ recorder, floors }) => {
    const rounds = recorder.rounds(subject(laneOf('smcd', mode), { case: 'roundtrip', bytes: 64 }), 'p50_us');
    return medianOf([...rounds].map(([round, value]) => value / (floors[round]?.spin_rtt_us ?? Number.NaN)));
  };
}

const roundtrip = (bytes: number) => ({ case: 'roundtrip', bytes }) as const;
const oneway = (bytes: number) => ({ case: 'oneway', bytes }) as const;
/** Judged with the light client: with http.Agent most of a round trip is the client's own work, whatever is below it. */
const http = (connections: number) => ({ case: 'http', bytes: 100, connections, client: 'light' }) as const;
const many = ({ special }: Found, transport: string, connections: number) =>
  special.many?.find((row) => row.transport === transport && row.connections === connections);
const polite =
  (figure: 'timer_p99_us' | 'echo_p99_us'): Target['value'] =>
  ({ special }) => {
    const row = special.polite?.find(({ transport }) => transport === 'smcd');
    return row === undefined ? undefined : row[`${figure}_loaded`] - row[figure];
  };
const idle =
  (connections: number): Target['value'] =>
  ({ special }) => {
    const row = special.idle?.find((of) => of.transport === 'smcd' && of.connections === connections);
    return row === undefined ? undefined : Math.max(row.server_cpu_ms, row.client_cpu_ms);
  };

/** How many times better SMC-R is than the kernel's own SMC under node:net. */
const kernelTimes = (metric: Metric, of: Omit<Subject, 'transport' | 'mode'>, mode: Mode): Target['value'] => {
  return ({ recorder }) => medianOf(recorder.times(subject(laneOf('smcr', mode), of), subject(laneOf('smc-kernel', 'stream'), of), metric));
};

const TARGETS: readonly Target[] = [
  {
    goal: 'stream, round trip 64 B, shorter than TCP',
    least: 25,
    unit: 'x',
    againstSleepers: true,
    value: times('stream', 'tcp', 'p50_us', roundtrip(64)),
  },
  { goal: 'stream, round trip 64 B, in spin-ring round trips', most: 8, unit: 'x', value: spins('stream') },
  {
    goal: "stream, busyPoll 'off', round trip 64 B, against Unix socket",
    most: 1.05,
    unit: 'x',
    value: inverse(times('stream-off', 'uds', 'p50_us', roundtrip(64))),
  },
  { goal: 'ring, round trip 64 B, in spin-ring round trips', most: 3, unit: 'x', value: spins('ring') },
  {
    goal: 'ring, round trip 64 B, shorter than TCP',
    least: 80,
    unit: 'x',
    againstSleepers: true,
    value: times('ring', 'tcp', 'p50_us', roundtrip(64)),
  },
  { goal: 'stream, one way 64 B, messages/s against TCP', least: 20, unit: 'x', value: times('stream', 'tcp', 'msgs_per_s', oneway(64)) },
  {
    goal: 'stream, one way 1 KiB, messages/s against TCP',
    least: 30,
    unit: 'x',
    value: times('stream', 'tcp', 'msgs_per_s', oneway(1024)),
  },
  { goal: 'stream, one way 64 KiB, GB/s against TCP', least: 3, unit: 'x', value: times('stream', 'tcp', 'gb_per_s', oneway(65_536)) },
  { goal: 'stream, one way 1 MiB, GB/s against TCP', least: 2, unit: 'x', value: times('stream', 'tcp', 'gb_per_s', oneway(1_048_576)) },
  {
    goal: 'stream, one way 64 KiB, GB/s against Unix socket',
    least: 2,
    unit: 'x',
    value: times('stream', 'uds', 'gb_per_s', oneway(65_536)),
  },
  {
    goal: 'stream, one way 1 MiB, GB/s against Unix socket',
    least: 2,
    unit: 'x',
    value: times('stream', 'uds', 'gb_per_s', oneway(1_048_576)),
  },
  { goal: 'records, one way 64 B, messages/s against TCP', least: 30, unit: 'x', value: times('records', 'tcp', 'msgs_per_s', oneway(64)) },
  { goal: 'ring, one way 1 MiB, GB/s against TCP', least: 3, unit: 'x', value: times('ring', 'tcp', 'gb_per_s', oneway(1_048_576)) },
  {
    goal: 'HTTP, 1 connection, light client, p50 shorter than TCP',
    least: 4,
    unit: 'x',
    againstSleepers: true,
    value: times('stream', 'tcp', 'p50_us', http(1)),
  },
  {
    goal: 'HTTP, 50 connections, light client, requests/s against TCP',
    least: 1.4,
    unit: 'x',
    value: times('stream', 'tcp', 'msgs_per_s', http(50)),
  },
  { goal: 'polite: 1 ms timer, p99 later than unloaded', most: 200, unit: 'us', value: polite('timer_p99_us') },
  { goal: 'polite: TCP echo in the same process, p99 longer than unloaded', most: 200, unit: 'us', value: polite('echo_p99_us') },
  { goal: 'idle: 10 connections, CPU per 10 s', most: 1, unit: 'ms', value: idle(10) },
  { goal: 'idle: 1,000 connections, CPU per 10 s', most: 1, unit: 'ms', value: idle(1000) },
  {
    goal: 'fallback to TCP: round trip 64 B, against node:net',
    least: 0.97,
    unit: 'x',
    value: ({ special }) => special.fallback?.roundtrip_ratio,
  },
  {
    goal: 'fallback to TCP: throughput 64 KiB, against node:net',
    least: 0.97,
    unit: 'x',
    value: ({ special }) => special.fallback?.throughput_ratio,
  },
  {
    goal: 'fallback to TCP: connections/s, against node:net',
    least: 0.93,
    unit: 'x',
    value: ({ special }) => special.fallback?.connects_ratio,
  },
  {
    goal: 'connect, first contact, against TCP',
    most: 8,
    unit: 'x',
    value: inverse(times('stream', 'tcp', 'p50_us', { case: 'connect', bytes: 0, contact: 'first' })),
  },
  {
    goal: 'connect, later, against TCP',
    most: 4,
    unit: 'x',
    value: inverse(times('stream', 'tcp', 'p50_us', { case: 'connect', bytes: 0, contact: 'later' })),
  },
  {
    goal: '1,000 connections: CPU per message against 10',
    most: 1.2,
    unit: 'x',
    value: (found) =>
      medianOf([
        (many(found, 'smcd', 1000)?.cpu_us_per_message ?? Number.NaN) / (many(found, 'smcd', 10)?.cpu_us_per_message ?? Number.NaN),
      ]),
  },
  {
    goal: '1,000 connections: descriptors more than 10 need, more than with TCP',
    most: 0,
    unit: '',
    value: (found) => {
      // What a process needs once (listener, directory, link group) is not growth.
      const growth = (transport: string, side: 'server_descriptors' | 'client_descriptors') => {
        const [few, lots] = [many(found, transport, 10), many(found, transport, 1000)];
        return few === undefined || lots === undefined ? Number.NaN : lots[side] - few[side];
      };
      const more = Math.max(
        growth('smcd', 'server_descriptors') - growth('tcp', 'server_descriptors'),
        growth('smcd', 'client_descriptors') - growth('tcp', 'client_descriptors'),
      );
      return Number.isNaN(more) ? undefined : more;
    },
  },
  {
    goal: "smcr stream, busyPoll 20000, round trip 64 B, against the kernel's SMC",
    most: 1,
    unit: 'x',
    value: inverse(kernelTimes('p50_us', roundtrip(64), 'stream-poll')),
  },
  {
    goal: "smcr stream, one way 64 KiB, GB/s against the kernel's SMC",
    least: 1,
    unit: 'x',
    value: kernelTimes('gb_per_s', oneway(65_536), 'stream'),
  },
  ...THREAD_TARGETS,
];

export function judge(found: Found): Verdict[] {
  return TARGETS.map(({ goal, least, most, unit, value: compute, againstSleepers }) => {
    const value = compute(found);
    const counts = !againstSleepers || found.floor.wakeup_rtt_us >= WAKEUP_US;
    const met = value !== undefined && (least === undefined || value >= least) && (most === undefined || value <= most);
    const verdict = value === undefined ? 'not measured' : !counts ? 'printed only' : met ? 'pass' : 'FAIL';
    return { goal, bound: least !== undefined ? `>= ${least}` : `<= ${most}`, value, unit, verdict };
  });
}
