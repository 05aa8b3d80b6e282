// slow.ts - a process whose consumers are slow and whose producers never stop: in workers, over each kind of connection. It checks
// what comes and how far producers are ahead, and says every second how much has come.

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { batches, type ChannelEnd, createChannel, frames, open } from '@smcjs/core/channel';
import { fromFrames, fromRecords, sendTo } from '@smcjs/core/rxjs';
import { mapFrames } from '@smcjs/core/worker';
import { Piscina } from 'piscina';
import { lastValueFrom } from 'rxjs';
import { args, report } from '../peers/lib.js';
import { type Order, recordOf } from '../threads/partner.js';

const RING_BYTES = 65_536;
/** After so many the consumer does something else for a while. */
const AT_ONCE = 50;
const PAUSE_MS = 2;
const doubles = { input: Float64Array, output: Float64Array };

let received = 0;

/** Counts one that was right; a promise now and then, to be waited for. */
function took(right: boolean): Promise<unknown> | undefined {
  if (!right) throw new Error(`number ${received} is not what it should be`);
  return ++received % AT_ONCE === 0 ? delay(PAUSE_MS) : undefined;
}

function workerIn(role: Order['role']): ChannelEnd {
  const { port1, port2 } = createChannel({ ringSize: RING_BYTES });
  const order: Order = { port: port2, role, seed: 1 };
  new Worker(new URL('../threads/partner.js', import.meta.url), { workerData: order, transferList: [port2.bell] });
  return open(port1);
}

const isNext = (record: Uint8Array): boolean => recordOf(1, received).compare(record) === 0;
const isFilled = (view: Float32Array): boolean => view[0] === received % 2 ** 24 && view.at(-1) === view[0];

const ways: Record<string, () => Promise<unknown>> = {
  async records() {
    for await (const batch of batches(workerIn('sender'))) for (const record of batch) await took(isNext(record));
  },

  async frames() {
    for await (const { view } of frames(workerIn('frames'), Float32Array)) await took(isFilled(view));
  },

  /** There and back through a worker: chunks of a stream that nobody reads in a hurry. */
  async stream() {
    const end = workerIn('stream');
    let ahead = 0;
    let next = 0;
    const write = (): void => {
      while (end.write(Buffer.alloc(10_000, next++ & 0xff))) ahead += 10_000;
      ahead += 10_000;
    };
    end.on('drain', write);
    write();
    let at = 0;
    for await (const chunk of end as AsyncIterable<Buffer>) {
      for (let i = 0; i < chunk.length; i += 997) {
        if (chunk[i] !== (Math.floor((at + i) / 10_000) & 0xff)) throw new Error(`byte ${at + i} is not what it should be`);
      }
      at += chunk.length;
      ahead -= chunk.length;
      // Two rings in each direction's way, and what streams hold at both ends.
      if (ahead > 4 * RING_BYTES + 1_000_000) throw new Error(`${ahead} bytes are on their way`);
      received++;
      await delay(PAUSE_MS);
    }
  },

  'rxjs records': () => lastValueFrom(fromRecords(workerIn('sender'), async (record) => void (await took(isNext(record))))),

  'rxjs frames': () => lastValueFrom(fromFrames(workerIn('frames'), Float32Array, async ({ view }) => void (await took(isFilled(view))))),

  /** Into a worker that gives records back, whose answers are read slowly: the iterable must not be asked for more. */
  async 'rxjs into'() {
    const end = workerIn('records');
    let asked = 0;
    function* endless(): Generator<Buffer> {
      for (;;) yield recordOf(1, asked++);
    }
    const sending = lastValueFrom(sendTo(end)(endless()));
    for await (const batch of batches(end, AT_ONCE)) {
      for (const record of batch) await took(isNext(record));
      // The mean record has 1,000 bytes.
      if (asked - received > 1000) throw new Error(`${asked - received} records are on their way`);
    }
    await sending;
  },

  async 'map frames'() {
    const filename = new URL('../adapters/pool-worker.js', import.meta.url).href;
    const pool = new Piscina({ filename, minThreads: 2, maxThreads: 2 });
    let taken = 0;
    function* source(): Generator<Float64Array> {
      for (;;) yield new Float64Array(1000).fill(taken++);
    }
    const options = { ...doubles, name: 'inPlace', concurrency: 2, ahead: 4, ringSize: RING_BYTES };
    for await (const { index, view } of mapFrames(pool, source(), options)) {
      if (taken - received > 8) throw new Error(`${taken - received} frames were taken from the source`);
      await took(index === received && view.at(-1) === 2 * received + 1);
    }
  },
};

const { way } = args<{ way: string }>();
setInterval(() => report('received', { received }), 1000);
await ways[way]?.();
throw new Error('it has ended');
