// allocation.ts - a process that moves a million messages by each surface whose hot path allocates nothing, and says by how many
// bytes for each the heap of its thread has grown. The young generation it is given holds all of that: nothing is collected.

import type { AddressInfo } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { connect, createServer } from '@smcjs/core';
import { type BlockingEnd, createChannel, type FrameConnection, frames, open, openBlocking, type RingSurface } from '@smcjs/core/channel';

const MESSAGES = 1_000_000;
/** First attempts compile the code; later ones may meet a collection that has other reasons. The best counts. */
const ATTEMPTS = 4;
const ENOUGH = 2;
/** A frame of 4,000 bytes: cursors go past 2^31 and 2^32. */
const ELEMENTS = 1000;

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ['gc'] });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Counts between two calls of {@link begin}. */
class Heap {
  best = Number.POSITIVE_INFINITY;
  #before = 0;

  async begin(): Promise<void> {
    globalThis.gc?.();
    for (let i = 0; i < 3; i++) await turn(); // that collection is told of later
    collections = 0;
    this.#before = getHeapStatistics().used_heap_size;
  }

  async end(): Promise<void> {
    const grown = getHeapStatistics().used_heap_size - this.#before;
    for (let i = 0; i < 3; i++) await turn();
    if (collections === 0) this.best = Math.min(this.best, grown / MESSAGES);
  }
}

async function perMessage(move: () => void): Promise<number> {
  const heap = new Heap();
  for (let i = 0; i < ATTEMPTS && !(heap.best < ENOUGH); i++) {
    await heap.begin();
    move();
    await heap.end();
  }
  return heap.best;
}

type End = { readonly ring: RingSurface | BlockingEnd; readonly frames: ReturnType<typeof framesOf> };
const framesOf = (end: FrameConnection | BlockingEnd) => frames(end as FrameConnection, Float32Array, { checks: false });

/** Both ends of a worker channel in this thread: nobody waits for anybody. */
function ends(kind: string, as: 'ring' | 'frames'): [End, End] {
  const { port1, port2 } = createChannel({ ringSize: 65_536 });
  return [port1, port2].map((port): End => {
    const end = kind === 'blocking' ? openBlocking(port) : open(port);
    const ring = 'ring' in end ? end.ring : end;
    return { ring, frames: as === 'frames' ? framesOf(end) : (undefined as never) };
  }) as [End, End];
}

const wrong = (index: number): never => {
  throw new Error(`message ${index} has not come`);
};

const ways: Record<string, (kind: string) => Promise<object>> = {
  async frames(kind) {
    const [{ frames: out }, { frames: into }] = ends(kind, 'frames');
    const grown = await perMessage(() => {
      for (let i = 0; i < MESSAGES; i++) {
        const sent = out.reserve(ELEMENTS) ?? wrong(i);
        sent.view[0] = i & 0xffff;
        sent.commit();
        const frame = into.take() ?? wrong(i);
        if (frame.view[0] !== (i & 0xffff)) wrong(i);
        frame.release();
      }
    });
    return { grown };
  },

  async records(kind) {
    const [{ ring: out }, { ring: into }] = ends(kind, 'ring');
    // Small ones: received bytes are private memory outside the heap, and much of that brings a collection on.
    const batch = Array.from({ length: 64 }, () => new Uint8Array(8));
    let received = 0;
    const count = (): void => void received++;
    const grown = await perMessage(() => {
      for (received = 0; received < MESSAGES; ) {
        out.send(batch);
        into.receive(count);
      }
    });
    return { grown };
  },

  async 'in place'(kind) {
    const [{ ring: out }, { ring: into }] = ends(kind, 'ring');
    const grown = await perMessage(() => {
      for (let i = 0; i < MESSAGES; i++) {
        const view = out.reserve(64) ?? wrong(i);
        view[0] = i & 0xff;
        out.commit(64);
        if (into.peek()?.[0] !== (i & 0xff)) wrong(i);
        into.release(64);
      }
    });
    let views: unknown;
    const { buffer } = new Uint8Array(64);
    const ofViews = await perMessage(() => {
      for (let i = 0; i < MESSAGES; i++) {
        views = new Uint8Array(buffer);
        views = new Uint8Array(buffer);
      }
    });
    return { grown: views === undefined ? Number.NaN : grown - ofViews };
  },

  /** Frames from a worker to this thread. Waiting allocates: a few times in each ring, not for each frame. */
  async smcd() {
    const heap = new Heap();
    const server = createServer({ transports: ['smcd'], fallback: 'error', ringSize: 1 << 20 });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const worker = new Worker(new URL(import.meta.url), { workerData: (server.address() as AddressInfo).port });
    const sender = new Promise<number>((resolve) => worker.once('message', resolve));
    const socket = await new Promise<FrameConnection>((resolve) => server.once('connection', (of) => resolve(of as FrameConnection)));
    const into = framesOf(socket);
    const { ring } = socket as { ring: RingSurface };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await heap.begin();
      let received = 0;
      const all = new Promise<void>((resolve) => {
        const drain = (): void => {
          for (let frame = into.take(); frame !== undefined; frame = received < MESSAGES ? into.take() : undefined) {
            if (frame.view[0] !== (received++ & 0xffff)) wrong(received);
            frame.release();
          }
          if (received === MESSAGES) resolve();
        };
        ring.onreadable = drain;
      });
      into.reserve(1)?.commit(); // the next million, please
      await all;
      await heap.end();
    }
    ring.onreadable = undefined;
    const grown = { grown: heap.best, sender: await sender };
    socket.destroy();
    server.close();
    await worker.terminate();
    return grown;
  },
};

async function send(port: number): Promise<void> {
  const heap = new Heap();
  const socket = connect({ port, host: '127.0.0.1', transports: ['smcd'], fallback: 'error' });
  await new Promise<void>((resolve, reject) => void socket.once('connect', resolve).once('error', reject));
  const out = framesOf(socket as FrameConnection);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await out.readable();
    out.take()?.release();
    await heap.begin();
    for (let i = 0; i < MESSAGES; i++) {
      let frame = out.reserve(64);
      for (; frame === undefined; frame = out.reserve(64)) if (!(await out.writable(64))) return;
      frame.view[0] = i & 0xffff;
      frame.commit();
    }
    await heap.end();
  }
  parentPort?.postMessage(heap.best);
  await out.readable();
}

if (isMainThread) {
  const [way, kind] = process.argv.slice(2) as [string, string];
  console.log(JSON.stringify(await ways[way]?.(kind)));
  process.exit(0);
} else await send(workerData as number);
