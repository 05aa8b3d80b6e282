// many.ts - 1,000 connections between two processes against 10: CPU per message when every one carries traffic in turn,
// descriptors, and memory while they are idle.

import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from '@smcjs/core';
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
/** After a larger one stamps begin again: they fit 31 bits. */
const LAST_STAMP = 2 ** 31 - 1 - WINDOW;

/** Offsets in a request, which comes back as it is and says what it is the answer to. */
const AT = { stamp: 0, connection: 4 } as const;

/** Messages that go once round a ring of this connection; none over TCP. */
function lap(port: Port | undefined): number {
  const { local = 0, peer = 0 } = (port as Partial<Socket> | undefined)?.stats?.().ringSize ?? {};
  return Math.max(local, peer) / LINE;
}

export const manyCommands = {
  /** A connection has nothing of the benchmark's own but one word: what is measured is what it takes itself. */
  spread({ ms, window, lapMs }) {
    if (ports.length < window) throw new MeasureError('failed', `${ports.length} connections for ${window} requests at once`);
    return new Promise<{ messages: number; cpu_us: number; seconds: number }>((resolve) => {
      /** Stamp modulo window is the buffer a request was written from; the next one from it is stamped with `window` more. */
      const requests = Array.from({ length: window }, (_, buffer) => {
        const bytes = Buffer.alloc(LINE);
        bytes.writeInt32LE(buffer, AT.stamp);
        return bytes;
      });
      /** The stamp of the request under way on each connection; 0: none. */
      const asked = new Int32Array(ports.length);
      let next = 0;
      let open = 0;
      let messages = 0;
      const following = (index: number) => (index + 1 === ports.length ? 0 : index + 1);
      const ask = (buffer: number) => {
        while (asked[next] !== 0) next = following(next);
        const request = requests[buffer] as Buffer;
        const before = request.readInt32LE(AT.stamp);
        const stamp = before > LAST_STAMP ? window + buffer : before + window;
        request.writeInt32LE(stamp, AT.stamp);
        request.writeInt32LE(next, AT.connection);
        asked[next] = stamp;
        open++;
        (ports[next] as Port).write(request);
        next = following(next);
      };
      function onReply(this: Port, reply: Buffer): void {
        const whole = reply.length === LINE;
        const connection = whole ? reply.readInt32LE(AT.connection) : -1;
        const stamp = whole ? reply.readInt32LE(AT.stamp) : 0;
        if (stamp === 0 || ports[connection] !== this || asked[connection] !== stamp)
          throw new MeasureError('mismatch', `a reply of ${reply.length} bytes is not to what was asked on its connection`);
        asked[connection] = 0;
        open--;
        messages++;
        const end = now();
        if (end < deadline || (messages + open < laps && end < lapDeadline)) ask(stamp % window);
        else if (open === 0) {
          const cpu_us = cpuTime() - cpu;
          for (const port of ports) port.off('data', onReply);
          resolve({ messages, cpu_us, seconds: (end - begin) / 1e6 });
        }
      }
      for (const port of ports) port.on('data', onReply);
      const laps = lapMs > 0 ? lap(ports[0]) * ports.length : 0;
      const cpu = cpuTime();
      const begin = now();
      const deadline = begin + ms * 1000;
      const lapDeadline = begin + lapMs * 1000;
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
    // Round 0 warms up, so there are two at least.
    const once = async (round: number) => {
      for (const { pair, lane, cpu, rate } of all) {
        await attempt(context, 'many', lane, async () => {
          const before = await pair.server.call('cpu', null);
          const [ms, lapMs] = [plan.manyMs, round === 0 ? plan.manyLapMs : 0];
          const spread = await pair.client.call('spread', { ms, window: WINDOW, lapMs }, Math.max(ms, lapMs));
          const server = (await pair.server.call('cpu', null)) - before;
          if (round === 0) return;
          cpu.push((spread.cpu_us + server) / spread.messages);
          rate.push(spread.messages / spread.seconds);
        });
      }
    };
    await inRounds(context, 'many', plan.manyRounds + 1, once, 2);
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
  }
  special.many = all.flatMap(({ figures, cpu, rate }) =>
    cpu.length === 0 ? [] : [{ ...figures, cpu_us_per_message: median(cpu), msgs_per_s: median(rate) }],
  );
}
