// connections.ts - the connections a process of a pair has open, and the commands that are about them.

import { cpuTime, sleep } from '../clock.js';
import { MeasureError } from '../errors.js';
import { type Opening, usageOf } from '../lanes.js';
import { AtomicsTalker } from '../talkers/atomics.js';
import { FrameTalker } from '../talkers/frames.js';
import { RecordTalker } from '../talkers/records.js';
import { RingTalker } from '../talkers/ring.js';
import { StreamTalker } from '../talkers/stream.js';
import { Stopwatch } from '../talkers/stopwatch.js';
import type { Talker } from '../talkers/talker.js';
import { transportOf } from '../transports/index.js';
import type { Listener, Port } from '../transports/port.js';
import type { Handlers } from './control.js';

/** Round trips kept per measurement; one that has more stops early. */
const SAMPLES = 1 << 20;
export const samples = new Float64Array(SAMPLES);

/** Open connections of this process, in the order they were made. */
export const ports: Port[] = [];
let talkers: Talker[] = [];
let listener: Listener | undefined;

function talk(port: Port, opening: Opening): Talker {
  const { lane } = opening;
  if (lane.transport === 'atomics') return new AtomicsTalker(port);
  const usage = usageOf(lane);
  if (usage === 'frames') return new FrameTalker(port, opening);
  if (usage === 'ring') return new RingTalker(port, opening.bytes);
  if (usage === 'records') return new RecordTalker(port, opening.bytes, lane.mode === 'records-single');
  return new StreamTalker(port, opening.bytes);
}

/** The connection that round trips and one-way traffic use. */
export function theTalker(): Talker {
  const [first] = talkers;
  if (first === undefined) throw new MeasureError('failed', 'no connection is open');
  return first;
}

function reflect(this: Port, bytes: Uint8Array): void {
  this.write(bytes);
}

/** Watches a port: an error that is not just the other side's close is thrown, for the agent to report. */
export function keep(port: Port): void {
  ports.push(port);
  port.on('error', (error: NodeJS.ErrnoException) => {
    // The side that accepted may see a close as a reset; a reset during a measurement is seen by the side that measures.
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') throw error;
  });
}

export const connectionCommands = {
  async listen({ opening, role }) {
    listener = await transportOf(opening.lane).listen(opening, (port) => {
      keep(port);
      if (role === 'greet') {
        port.on('data', () => undefined);
        port.once('close', () => ports.splice(ports.indexOf(port), 1));
        port.write(Buffer.alloc(1));
      } else if (role === 'hold') port.on('data', () => undefined);
      else if (role === 'reflect') port.on('data', reflect);
      else talk(port, opening)[role]();
    });
    return listener.address;
  },
  async connect({ opening, address, count, role }) {
    for (let i = 0; i < count; i++) {
      const port = await transportOf(opening.lane).connect(opening, address);
      keep(port);
      // The client is the side that closes; otherwise its measurement would wait for ever.
      port.once('close', () => {
        if (ports.includes(port)) throw new MeasureError('failed', 'the peer closed the connection');
      });
      if (role !== 'hold') talkers.push(talk(port, opening));
    }
    return null;
  },
  async accepted({ count }) {
    while (ports.length < count) await sleep(2);
    return null;
  },
  close() {
    talkers = [];
    for (const port of ports.splice(0)) port.destroy();
    listener?.close();
    listener = undefined;
    return null;
  },
  async ping({ ms }) {
    const watch = new Stopwatch(ms, samples);
    await theTalker().ping(watch);
    return watch.figures();
  },
  async send({ ms }) {
    const cpu = cpuTime();
    const sent = await theTalker().send(ms);
    return { ...sent, cpu_us: cpuTime() - cpu };
  },
  cpu: () => cpuTime(),
} satisfies Partial<Handlers>;
