// idle.ts - the CPU time of processes whose connections are open and silent. All of them are idle at the same time.

import { cpuTime, sleep } from '../clock.js';
import type { Lane, Opening } from '../lanes.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import type { Idle } from '../report/special.js';
import { attempt, chosen, type Context } from './context.js';

export const idleCommands = {
  idle: ({ ms }) =>
    new Promise<number>((resolve) => {
      globalThis.gc?.(); // what opening the connections left behind is not this measurement's work
      // The answer to earlier commands is out, and whatever polls has had its chance to stop.
      setTimeout(() => {
        const before = cpuTime();
        setTimeout(() => resolve(cpuTime() - before), ms);
      }, 1000);
    }),
} satisfies Partial<Handlers>;

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
    await sleep(500);
    const ended = opened.map(({ pair, lane, connections }) =>
      attempt(context, 'idle', lane, async () => {
        const idle = () => ({ ms: plan.idleMs });
        const [server, client] = await Promise.all([
          pair.server.call('idle', idle(), plan.idleMs),
          pair.client.call('idle', idle(), plan.idleMs),
        ]);
        const per10s = (us: number) => us / 1000 / (plan.idleMs / 10_000);
        found.push({
          transport: lane.transport,
          mode: lane.mode,
          connections,
          server_cpu_ms: per10s(server),
          client_cpu_ms: per10s(client),
        });
      }),
    );
    await Promise.all(ended);
  } finally {
    await Promise.all(opened.map(({ pair }) => pair.stop()));
  }
  special.idle = found;
}
