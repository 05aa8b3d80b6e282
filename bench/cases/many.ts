// many.ts - 1,000 connections between two processes against 10: CPU per message when every one carries traffic in turn,
// descriptors, and memory while they are idle.

import { readdirSync, readFileSync } from 'node:fs';
import { cpuTime, median, now } from '../clock.js';
import { MeasureError } from '../errors.js';
import type { Lane, Opening } from '../lanes.js';
import { streamTalkers } from '../pair/connections.js';
import type { Footprint } from '../pair/commands.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import type { Many } from '../report/special.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

/** Requests under way at once, whatever the number of connections. */
const WINDOW = 10;

export const manyCommands = {
  spread({ ms, window }) {
    const talkers = streamTalkers();
    if (talkers.length < window) throw new MeasureError('failed', `${talkers.length} connections for ${window} requests at once`);
    return new Promise<{ messages: number; cpu_us: number; seconds: number }>((resolve) => {
      const busy = new Uint8Array(talkers.length);
      let next = 0;
      let open = 0;
      let messages = 0;
      const cpu = cpuTime();
      const begin = now();
      const deadline = begin + ms * 1000;
      const ask = () => {
        while (busy[next] === 1) next = next + 1 === talkers.length ? 0 : next + 1;
        busy[next] = 1;
        open++;
        talkers[next]?.ask();
        next = next + 1 === talkers.length ? 0 : next + 1;
      };
      talkers.forEach((talker, index) => {
        talker.onReply(() => {
          busy[index] = 0;
          open--;
          messages++;
          const end = now();
          if (end < deadline) ask();
          else if (open === 0) resolve({ messages, cpu_us: cpuTime() - cpu, seconds: (end - begin) / 1e6 });
        });
      });
      for (let i = 0; i < window; i++) ask();
    });
  },
  footprint(): Footprint {
    globalThis.gc?.();
    const status = readFileSync('/proc/self/status', 'utf8');
    const kilobytes = Number(/^RssAnon:\s*(\d+)/m.exec(status)?.[1]) + Number(/^RssFile:\s*(\d+)/m.exec(status)?.[1]);
    return { descriptors: readdirSync('/proc/self/fd').length, private_bytes: kilobytes * 1024 };
  },
} satisfies Partial<Handlers>;

/** Shared memory of the whole machine: pages mapped by both ends count once. */
const sharedBytes = (): number => Number(/^Shmem:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;

interface Opened {
  readonly pair: Pair;
  readonly lane: Lane;
  readonly figures: Omit<Many, 'cpu_us_per_message' | 'msgs_per_s'>;
  readonly cpu: number[];
  readonly rate: number[];
}

async function open(pair: Pair, connections: number): Promise<Opened['figures']> {
  const { lane } = pair;
  const opening: Opening = { lane, bytes: 64 };
  const footprints = async () => [await pair.server.call('footprint', null), await pair.client.call('footprint', null)] as const;
  await footprints(); // the first one loads and compiles what it needs itself
  const [server, client] = await footprints();
  const shared = sharedBytes();
  const address = await pair.server.call('listen', { opening, role: 'echo' });
  await pair.client.call('connect', { opening, address, count: connections }, connections * 5);
  await pair.server.call('accepted', { count: connections });
  const [serverNow, clientNow] = await footprints();
  const added = serverNow.private_bytes - server.private_bytes + clientNow.private_bytes - client.private_bytes + sharedBytes() - shared;
  return {
    transport: lane.transport,
    mode: lane.mode,
    connections,
    server_descriptors: serverNow.descriptors - server.descriptors,
    client_descriptors: clientNow.descriptors - client.descriptors,
    bytes_per_connection: added / connections,
  };
}

export async function manyCase(context: Context): Promise<void> {
  const { plan, special } = context;
  const lanes = ['tcp/stream', 'smcd/stream'].flatMap((key) => chosen(context, key) ?? []);
  const all: Opened[] = [];
  const pairs: Pair[] = [];
  try {
    for (const lane of lanes) {
      for (const connections of [10, 1000]) {
        context.progress(`many: opening ${connections} connections, ${lane.label}`);
        await attempt(context, 'many', lane, async () => {
          const pair = new Pair(lane);
          pairs.push(pair);
          all.push({ pair, lane, figures: await open(pair, connections), cpu: [], rate: [] });
        });
      }
    }
    // Round 0 warms up.
    await inRounds(context, 'many', plan.manyRounds + 1, async (round) => {
      for (const { pair, lane, cpu, rate } of all) {
        await attempt(context, 'many', lane, async () => {
          const before = await pair.server.call('cpu', null);
          const spread = await pair.client.call('spread', { ms: plan.manyMs, window: WINDOW }, plan.manyMs);
          const server = (await pair.server.call('cpu', null)) - before;
          if (round === 0) return;
          cpu.push((spread.cpu_us + server) / spread.messages);
          rate.push(spread.messages / spread.seconds);
        });
      }
    });
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
  }
  special.many = all.flatMap(({ figures, cpu, rate }) =>
    cpu.length === 0 ? [] : [{ ...figures, cpu_us_per_message: median(cpu), msgs_per_s: median(rate) }],
  );
}
