// many.ts - 1,000 connections between two processes against 10: CPU per message when every one carries traffic in turn,
// descriptors, and memory while they are idle.

import { readdirSync, readFileSync } from 'node:fs';
import { cpuTime, median, now } from '../clock.js';
import { MeasureError } from '../errors.js';
import type { Lane, Opening } from '../lanes.js';
import { LINE } from '../payload.js';
import { ports } from '../pair/connections.js';
import type { Footprint } from '../pair/commands.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import type { Many } from '../report/special.js';
import type { Port } from '../transports/port.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

/** Requests under way at once, whatever the number of connections. */
const WINDOW = 10;

/**
 * Messages that go once round a ring of the default size. A page of it costs a page fault on both sides when it is first written,
 * which is over at once where ten connections carry all messages, and would take most of the measurement where a thousand do.
 */
const LAP = (256 * 1024) / LINE;

/**
 * Offsets in a request, which comes back as it is: its number, the connection, the buffer it was written from. So a connection has
 * nothing of the benchmark's own but one word: what is measured is what it takes itself.
 */
const AT = { stamp: 0, connection: 4, buffer: 8 } as const;

export const manyCommands = {
  spread({ ms, window, least }) {
    if (ports.length < window) throw new MeasureError('failed', `${ports.length} connections for ${window} requests at once`);
    return new Promise<{ messages: number; cpu_us: number; seconds: number }>((resolve) => {
      const buffers = Array.from({ length: window }, () => Buffer.alloc(LINE));
      /** The number of the request under way on each connection; 0: none. */
      const asked = new Int32Array(ports.length);
      let next = 0;
      let open = 0;
      let stamp = 0;
      let messages = 0;
      const following = (index: number) => (index + 1 === ports.length ? 0 : index + 1);
      const ask = (buffer: number) => {
        while (asked[next] !== 0) next = following(next);
        stamp = stamp === 0x7fff_ffff ? 1 : stamp + 1;
        asked[next] = stamp;
        open++;
        const request = buffers[buffer] as Buffer;
        request.writeInt32LE(stamp, AT.stamp);
        request.writeInt32LE(next, AT.connection);
        request.writeInt32LE(buffer, AT.buffer);
        (ports[next] as Port).write(request);
        next = following(next);
      };
      function onReply(this: Port, reply: Buffer): void {
        const connection = reply.length === LINE ? reply.readInt32LE(AT.connection) : -1;
        if (ports[connection] !== this || asked[connection] !== reply.readInt32LE(AT.stamp))
          throw new MeasureError('mismatch', `a reply of ${reply.length} bytes is not to what was asked on its connection`);
        asked[connection] = 0;
        open--;
        messages++;
        const end = now();
        if (end < deadline || messages + open < least) ask(reply.readInt32LE(AT.buffer));
        else if (open === 0) {
          const cpu_us = cpuTime() - cpu;
          for (const port of ports) port.off('data', onReply);
          resolve({ messages, cpu_us, seconds: (end - begin) / 1e6 });
        }
      }
      for (const port of ports) port.on('data', onReply);
      const cpu = cpuTime();
      const begin = now();
      const deadline = begin + ms * 1000;
      for (let buffer = 0; buffer < window; buffer++) ask(buffer);
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
  const address = await pair.server.call('listen', { opening, role: 'reflect' });
  await pair.client.call('connect', { opening, address, count: connections, role: 'hold' }, connections * 5);
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
    // Round 0 warms up, until every ring has been written once.
    await inRounds(context, 'many', plan.manyRounds + 1, async (round) => {
      for (const { pair, lane, cpu, rate, figures } of all) {
        await attempt(context, 'many', lane, async () => {
          const before = await pair.server.call('cpu', null);
          const least = round === 0 && lane.transport === 'smcd' ? LAP * figures.connections : 0;
          const spread = await pair.client.call('spread', { ms: plan.manyMs, window: WINDOW, least }, plan.manyMs + least / 20);
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
