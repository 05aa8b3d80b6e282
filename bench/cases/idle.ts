// idle.ts - the CPU time of processes whose connections are open and silent. All of them are idle at the same time.

import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from '../clock.js';
import { MeasureError } from '../errors.js';
import type { Lane, Opening } from '../lanes.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import type { Idle } from '../report/special.js';
import { attempt, chosen, type Context } from './context.js';

export const idleCommands = {
  settle() {
    globalThis.gc?.(); // what opening the connections left behind is not this measurement's work
    return null;
  },
} satisfies Partial<Handlers>;

/** CPU milliseconds all threads of a process have run, seen from outside: asking it would wake it up. */
function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  try {
    const nanoseconds = readdirSync(tasks).map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]));
    return nanoseconds.reduce((sum, of) => sum + of, 0) / 1e6;
  } catch (error) {
    throw new MeasureError('unavailable', `the CPU time of a process cannot be read: ${(error as Error).message}`);
  }
}

/** Long enough for the last command's answer to be out, for collections to end and for whatever polls to stop. */
const SETTLE_MS = 1500;

export async function idleCase(context: Context): Promise<void> {
  const { plan, special } = context;
  const found: Idle[] = [];
  const wanted: readonly [string, number][] = [
    ['tcp/stream', 1000],
    ['smcd/stream', 10],
    ['smcd/stream', 1000],
  ];
  const measured = wanted.flatMap(([key, connections]) => {
    const lane = chosen(context, key);
    return lane === undefined ? [] : [{ lane, connections }];
  });
  const opened: { pair: Pair; lane: Lane; connections: number }[] = [];
  context.progress(`idle: ${plan.idleMs / 1000} s`);
  try {
    for (const { lane, connections } of measured) {
      await attempt(context, 'idle', lane, async () => {
        const pair = new Pair(lane);
        opened.push({ pair, lane, connections });
        const opening: Opening = { lane, bytes: 64 };
        const address = await pair.server.call('listen', { opening, role: 'hold' });
        await pair.client.call('connect', { opening, address, count: connections }, connections * 5);
        await pair.server.call('accepted', { count: connections });
      });
    }
    await Promise.all(opened.flatMap(({ pair }) => [pair.server.call('settle', null), pair.client.call('settle', null)]));
    await sleep(SETTLE_MS);
    const before = opened.map(({ pair }) => pair.pids.map(cpuOf));
    await sleep(plan.idleMs);
    for (const [index, { pair, lane, connections }] of opened.entries()) {
      const [server = Number.NaN, client = Number.NaN] = pair.pids.map(
        (pid, side) => (cpuOf(pid) - (before[index]?.[side] ?? 0)) / (plan.idleMs / 10_000),
      );
      found.push({ transport: lane.transport, mode: lane.mode, connections, server_cpu_ms: server, client_cpu_ms: client });
    }
  } finally {
    await Promise.all(opened.map(({ pair }) => pair.stop()));
  }
  special.idle = found;
}
