// partner.ts - the other thread: opens a port and does what it is told, until it is done or terminated.

import { parentPort, workerData } from 'node:worker_threads';
import {
  batches,
  type BlockingEnd,
  frames,
  open,
  openBlocking,
  RingPoller,
  type RingSurface,
  sendAll,
  type WorkerPort,
} from '@smcjs/core/channel';
import { payload } from '../support/random.js';

export interface Order {
  readonly port: WorkerPort;
  /** More of them, for who polls several. */
  readonly ports?: readonly WorkerPort[];
  readonly role: keyof typeof roles;
  /** Whose bytes, and how many there are, where the role sends. */
  readonly seed?: number;
  readonly count?: number;
}

/** Record `index` of sender `seed`: its number, then bytes that belong to it, 8 to 2000 of them. */
export function recordOf(seed: number, index: number): Buffer {
  const length = 8 + ((Math.imul(index + 1, 2654435761) >>> 0) % 1993);
  const record = Buffer.alloc(length, (seed * 31 + index) & 0xff);
  record.writeUInt32LE(seed, 0);
  record.writeUInt32LE(index, 4);
  return record;
}

/** In place: length and half of the body are in the ring, as a sender is that is stopped while it copies. */
function beginRecord(ring: RingSurface | BlockingEnd): void {
  ring.send([10, 20, 30].map((length) => payload(length, length)));
  const view = ring.reserve(1004);
  view?.fill(7);
  new DataView(view?.buffer ?? new ArrayBuffer(0), view?.byteOffset).setUint32(0, 1000, true);
  parentPort?.postMessage('begun');
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const roles = {
  /** Gives bytes back as they come. */
  stream({ port }: Order): void {
    const end = open(port, { allowHalfOpen: true });
    end.pipe(end);
  },

  /** Gives records back in batches. */
  async records({ port }: Order): Promise<void> {
    const end = open(port, { allowHalfOpen: true });
    for await (const batch of batches(end)) await sendAll(end, batch);
    end.end();
  },

  /** Gives bytes back from a thread that blocks. */
  blocking({ port }: Order): void {
    using end = openBlocking(port);
    while (end.readable()) {
      const view = end.peek();
      if (view === undefined) continue;
      for (let at = 0; at < view.length; at += end.write(view, at)) if (!end.writable()) return;
      end.release(view.length);
    }
    end.end();
    // Closing with the peer's end not yet seen would be a reset only with unread bytes.
  },

  /** Sends `count` records (for ever without a number), then ends. */
  async sender({ port, seed = 0, count = Number.POSITIVE_INFINITY }: Order): Promise<void> {
    const end = open(port);
    end.on('error', () => {});
    end.resume();
    for (let index = 0; index < count; ) {
      const batch: Buffer[] = [];
      while (batch.length < 10 && index < count) batch.push(recordOf(seed, index++));
      await sendAll(end, batch);
    }
    end.end();
  },

  /** The same, blocking. */
  blockingSender({ port, seed = 0, count = Number.POSITIVE_INFINITY }: Order): void {
    const end = openBlocking(port);
    for (let index = 0; index < count; index++) {
      const record = recordOf(seed, index);
      while (end.send([record]) === 0) if (!end.writable(end.roomFor(record.length))) return;
    }
    end.end();
    // Until the other side has seen everything: closing is not waiting.
    end.readable();
    end.close();
  },

  /** Sends frames of floats for ever. */
  async frames({ port }: Order): Promise<void> {
    const end = open(port);
    end.on('error', () => {});
    const floats = frames(end, Float32Array);
    for (let index = 0; await floats.writable(1000); index++) {
      const frame = floats.reserve(1000);
      frame?.view.fill(index);
      frame?.commit();
    }
  },

  /** Gives frames back, each element plus one, blocking. */
  blockingFrames({ port }: Order): void {
    using end = openBlocking(port);
    const floats = frames(end, Float64Array);
    for (const { view } of floats) {
      if (!floats.writable(view.length)) return;
      using answer = floats.reserve(view.length);
      if (answer === undefined) return;
      for (let i = 0; i < view.length; i++) answer.view[i] = (view[i] as number) + 1;
      answer.commit();
    }
    end.end();
  },

  /** Waits for bytes in a thread that blocks, with a limit; says what came of it. */
  patient({ port }: Order): void {
    const end = openBlocking(port);
    parentPort?.postMessage({ timedOut: end.readable(30), ended: end.ended });
    parentPort?.postMessage({ readable: end.readable(), byte: end.peek()?.[0] });
    end.release(1);
    try {
      parentPort?.postMessage({ readable: end.readable(), ended: end.ended });
    } catch (error) {
      parentPort?.postMessage({ code: (error as NodeJS.ErrnoException).code });
    }
  },

  /** Receives records of one sender in a thread that blocks, and says how many came, in order, and how it ended. */
  drain({ port, seed = 0 }: Order): void {
    const end = openBlocking(port);
    let received = 0;
    let wrong = 0;
    let code: string | undefined;
    try {
      while (end.readable()) {
        end.receive((bytes, offset, length) => {
          if (recordOf(seed, received++).compare(bytes, offset, offset + length) !== 0) wrong++;
        });
      }
    } catch (error) {
      ({ code } = error as NodeJS.ErrnoException);
    }
    end.close();
    parentPort?.postMessage({ received, wrong, code });
  },

  /** Gives records back from a thread that never sleeps. */
  exclusive({ port }: Order): void {
    using end = openBlocking(port, { exclusive: true });
    parentPort?.postMessage(end.exclusive);
    while (end.readable()) {
      end.receive((bytes, offset, length) => {
        while (end.send([bytes.subarray(offset, offset + length)]) === 0) if (!end.writable(end.roomFor(length))) return;
      });
    }
    end.end();
  },

  /** Receives records of many senders in one thread that never sleeps, and says of each how many came and how it ended. */
  poller({ port, ports = [] }: Order): void {
    const ends = [port, ...ports].map((each) => openBlocking(each, { exclusive: true }));
    const counts = ends.map(() => ({ received: 0, wrong: 0, end: 'open' }));
    const poller = new RingPoller(ends);
    let most = 0;
    for (let end = poller.next(); end !== undefined; end = poller.next()) {
      const seed = ends.indexOf(end);
      const count = counts[seed] as (typeof counts)[number];
      try {
        const taken = end.receive((bytes, offset, length) => {
          if (recordOf(seed, count.received++).compare(bytes, offset, offset + length) !== 0) count.wrong++;
        }, 16);
        most = Math.max(most, taken);
        if (!end.ended) continue;
        count.end = 'end';
        end.close();
      } catch (error) {
        count.end = (error as NodeJS.ErrnoException).code ?? String(error);
      }
    }
    parentPort?.postMessage({ counts, most, left: poller.size, timedOut: poller.next(0) });
  },

  /** Sends a little, and is there until it is terminated. */
  idle({ port, seed = 0 }: Order): void {
    const end = open(port);
    end.on('error', () => {});
    end.write(payload(seed, 1000));
    end.resume();
    parentPort?.postMessage('here');
  },

  /** Sends three records and begins a fourth. */
  half({ port }: Order): void {
    beginRecord(open(port).ring);
  },

  blockingHalf({ port }: Order): void {
    beginRecord(openBlocking(port));
  },

  /** Sends three frames and fills a fourth. */
  halfFrame({ port }: Order): void {
    const doubles = frames(openBlocking(port), Float64Array);
    for (const length of [1, 2, 3]) doubles.reserve(length)?.commit();
    doubles.reserve(100)?.view.fill(1);
    parentPort?.postMessage('begun');
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },

  /** Opens what is open elsewhere; says the code of the error. */
  claims({ port }: Order): void {
    try {
      open(port);
    } catch (error) {
      parentPort?.postMessage((error as NodeJS.ErrnoException).code);
    }
  },

  /** Sends a little and leaves with its end open. */
  exits({ port, seed = 0 }: Order): void {
    open(port).write(payload(seed, 1000));
    process.exit(0);
  },

  /** Opens, lets go, and has nothing else to do. */
  unrefs({ port, seed = 0 }: Order): void {
    open(port).unref().write(payload(seed, 1000));
  },
};

const order = workerData as Order | undefined;
if (order?.role !== undefined) void roles[order.role](order);
