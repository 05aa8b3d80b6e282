// connect.ts - how long it takes to connect, until both ends may send: the client has seen 'connect' and the first byte
// of a server that sends one as soon as it may. First contact is the first connection of a new client process; later is when
// its code is compiled.

import { now, percentiles } from '../clock.js';
import type { Opening } from '../lanes.js';
import { samples } from '../pair/connections.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import { transportOf } from '../transports/index.js';
import type { Port } from '../transports/port.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

export const connectCommands = {
  async connects({ opening, address, ms, max }) {
    const transport = transportOf(opening.lane);
    await transport.prepare?.();
    let count = 0;
    const start = now();
    while (count < max && (count === 0 || now() < start + ms * 1000)) {
      const begin = now();
      const port = await transport.connect(opening, address);
      await new Promise((resolve, reject) => {
        port.once('data', resolve);
        port.once('error', reject);
      });
      samples[count++] = now() - begin;
      await closed(port);
    }
    const per_s = count / ((now() - start) / 1e6);
    return { ...percentiles(samples, count), count, per_s };
  },
} satisfies Partial<Handlers>;

const closed = (port: Port): Promise<void> =>
  new Promise((resolve) => {
    port.once('close', resolve);
    port.destroy();
  });

/** More than these in one go would only fill the table of closed TCP connections. */
export const MOST_CONNECTS = 2000;

export async function connectCase(context: Context): Promise<void> {
  const { plan, recorder } = context;
  const lanes = ['tcp/stream', 'uds/stream', 'tcp/smc-fallback', 'smcd/stream'].flatMap((key) => chosen(context, key) ?? []);
  const servers = new Map(lanes.map((lane) => [lane, new Pair(lane)]));
  try {
    await inRounds(context, 'connect', plan.firstContacts, async (round) => {
      for (const lane of lanes) {
        await attempt(context, 'connect', lane, async () => {
          const pair = servers.get(lane) as Pair;
          const opening: Opening = { lane, bytes: 64 };
          if (round > 0) await pair.renewClient();
          const address = await pair.server.call('listen', { opening, role: 'greet' });
          const connects = (ms: number, max: number) => pair.client.call('connects', { opening, address, ms, max }, ms);
          const first = await connects(0, 1);
          // node:net itself doubles its rate within the first 2,000 connects of a process: later is after them.
          await connects(plan.connectMs * 3, MOST_CONNECTS);
          const later = await connects(plan.connectMs, MOST_CONNECTS);
          await pair.server.call('close', null);
          const of = { case: 'connect', transport: lane.transport, mode: lane.mode, bytes: 0 } as const;
          recorder.add(round, { ...of, contact: 'first', p50_us: first.p50_us, samples: 1 });
          recorder.add(round, {
            ...of,
            contact: 'later',
            p50_us: later.p50_us,
            p99_us: later.p99_us,
            msgs_per_s: later.per_s,
            samples: later.count,
          });
        });
      }
    });
  } finally {
    await Promise.all([...servers.values()].map((pair) => pair.stop()));
  }
}
