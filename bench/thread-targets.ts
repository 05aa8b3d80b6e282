// thread-targets.ts - the goals of what is measured between threads, of typed frames, and of pools.

import { laneOf, type Mode, type Touch, type TransportName } from './lanes.js';
import type { Metric, Subject } from './report/results.js';
import type { Found } from './run.js';
import { inverse, medianOf, subject, type Target } from './target.js';

type LaneKey = readonly [TransportName, Mode];
const THREADS_RTT = { case: 'threads-roundtrip', bytes: 64 } as const;
const THREADS_ONEWAY = { case: 'threads-oneway', bytes: 64 } as const;
const framesOf = (touch: Touch) => ({ case: 'frames', bytes: 1 << 20, touch }) as const;

/** How many times better a row is than another of its case. */
function against(key: LaneKey, base: LaneKey, metric: Metric, of: Omit<Subject, 'transport' | 'mode'>): Target['value'] {
  const subjectOf = ([transport, mode]: LaneKey) => subject(laneOf(transport, mode), of);
  return ({ recorder }) => medianOf(recorder.times(subjectOf(key), subjectOf(base), metric));
}

/** As long as the quicker of MessagePort and Atomics.waitAsync, round by round. */
function asTheBetterSleeper({ recorder }: Found): number | undefined {
  const rounds = (...[transport, mode]: LaneKey) => recorder.rounds(subject(laneOf(transport, mode), THREADS_RTT), 'p50_us');
  const [port, waitAsync] = [rounds('message-port', 'clone'), rounds('atomics', 'wait-async')];
  return medianOf(
    [...rounds('worker', 'ring-off')].map(
      ([round, value]) => value / Math.min(port.get(round) ?? Number.NaN, waitAsync.get(round) ?? Number.POSITIVE_INFINITY),
    ),
  );
}

export const THREAD_TARGETS: readonly Target[] = [
  {
    goal: 'threads, records 64 B, messages/s against MessagePort',
    least: 12,
    unit: 'x',
    value: against(['worker', 'records'], ['message-port', 'clone'], 'msgs_per_s', THREADS_ONEWAY),
  },
  {
    goal: 'threads, records 64 B, messages/s against UDP loopback',
    least: 35,
    unit: 'x',
    value: against(['worker', 'records'], ['dgram', 'stream'], 'msgs_per_s', THREADS_ONEWAY),
  },
  {
    goal: 'threads, polling, round trip 64 B, against spinning',
    most: 3,
    unit: 'x',
    value: inverse(against(['worker', 'ring'], ['atomics', 'spin'], 'p50_us', THREADS_RTT)),
  },
  {
    goal: 'threads, polling, round trip 64 B, shorter than MessagePort',
    least: 20,
    unit: 'x',
    againstSleepers: true,
    value: against(['worker', 'ring'], ['message-port', 'clone'], 'p50_us', THREADS_RTT),
  },
  {
    goal: "threads, busyPoll 'off', round trip 64 B, against the better of MessagePort and Atomics.waitAsync",
    most: 1.2,
    unit: 'x',
    value: asTheBetterSleeper,
  },
  {
    goal: 'threads, frames 1 MiB, every element, GB/s against a transfer list',
    least: 1.3,
    unit: 'x',
    value: against(['worker', 'frames'], ['message-port', 'transfer'], 'gb_per_s', framesOf('elements')),
  },
  {
    goal: 'threads, frames 1 MiB, one word per line, GB/s against a transfer list',
    least: 2,
    unit: 'x',
    value: against(['worker', 'frames'], ['message-port', 'transfer'], 'gb_per_s', framesOf('lines')),
  },
  {
    goal: 'processes, frames 1 MiB, one word per line, GB/s against TCP',
    least: 4,
    unit: 'x',
    value: against(['smcd', 'frames'], ['tcp', 'frames'], 'gb_per_s', framesOf('lines')),
  },
  {
    goal: 'processes, frames 1 MiB, one word per line, GB/s against child_process IPC',
    least: 5,
    unit: 'x',
    value: against(['smcd', 'frames'], ['ipc', 'frames'], 'gb_per_s', framesOf('lines')),
  },
  {
    goal: 'Piscina, frames 64 KiB, GB/s against transfer lists',
    least: 2,
    unit: 'x',
    value: against(['piscina', 'frames'], ['piscina', 'transfer'], 'gb_per_s', { case: 'pool', bytes: 65_536 }),
  },
];
