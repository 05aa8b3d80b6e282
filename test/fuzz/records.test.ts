// records.test.ts - fuzzing what reads a ring whose memory belongs to somebody hostile: changed between the calls, and by
// another thread while they run.

import { Worker } from 'node:worker_threads';
import { HEADER_BYTES, type RingMemory, RingConsumer, WORD } from '@smcjs/core/backend';
import { describe, it } from 'vitest';
import { RecordReader } from '../../packages/core/dist/ring/records.js';
import { FUZZ_TIMEOUT, fuzz } from './mutate.js';

const GUARD = 4096;
const CANARY = 0x5a5a5a5a;

interface Hostile {
  readonly memory: RingMemory;
  readonly buffer: SharedArrayBuffer;
  readonly lengths: Int32Array;
  readonly guards: readonly Int32Array[];
}

/** A ring with guards around its data, mirrored as far as its reader can tell: twice as long as its capacity. */
function hostile(capacity: number, mirrored: boolean): Hostile {
  const bytes = mirrored ? 2 * capacity : capacity;
  const buffer = new SharedArrayBuffer(HEADER_BYTES + GUARD + bytes + GUARD);
  const at = HEADER_BYTES + GUARD;
  return {
    buffer,
    memory: { words: new Int32Array(buffer, 0, HEADER_BYTES / 4), data: Buffer.from(buffer, at, bytes), capacity, mirrored },
    lengths: new Int32Array(buffer, at, bytes / 4),
    guards: [new Int32Array(buffer, HEADER_BYTES, GUARD / 4).fill(CANARY), new Int32Array(buffer, at + bytes, GUARD / 4).fill(CANARY)],
  };
}

/** Reads as a socket does, and checks that what it is given is private and whole. Returns what became of it. */
function receive({ memory, buffer, guards }: Hostile, consumer: RingConsumer, reader: RecordReader, limit: number | undefined): string {
  let bytesTaken = 0;
  const before = consumer.cursor;
  const count = reader.receive((bytes, offset, length) => {
    if ((bytes.buffer as unknown) === buffer) throw new Error('memory of the peer was handed out');
    if (!(offset >= 0 && length >= 0 && length <= memory.capacity / 2 && offset + length <= bytes.length))
      throw new Error(`a record of ${length} bytes at ${offset} of ${bytes.length}`);
    bytesTaken += length + 4;
  }, limit);
  const moved = (consumer.cursor - before) >>> 0;
  if (moved > memory.capacity || bytesTaken > moved) throw new Error(`${moved} bytes taken for records of ${bytesTaken}`);
  const view = consumer.peek();
  if (
    view !== undefined &&
    (view.byteOffset < memory.data.byteOffset || view.byteOffset + view.length > memory.data.byteOffset + memory.data.length)
  )
    throw new Error('a view outside');
  consumer.publish();
  if (guards.some((guard) => guard[0] !== CANARY || guard[guard.length - 1] !== CANARY)) throw new Error('memory outside was written');
  return `${Math.min(count, 5)} ${consumer.violated}`;
}

const SEEDS = [Buffer.alloc(256), Buffer.from(Array.from({ length: 16 }, (_, i) => [i * 3, 0, 0, 0]).flat()), Buffer.alloc(64, 0xff)];

describe('fuzzing', () => {
  for (const mirrored of [false, true]) {
    it(`the reader of records in ${mirrored ? 'mirrored' : 'plain'} memory that changes between calls`, {
      timeout: FUZZ_TIMEOUT,
    }, async () => {
      const ring = hostile(1024, mirrored);
      let consumer = new RingConsumer(ring.memory);
      let reader = new RecordReader(consumer);
      await fuzz(`records, ${mirrored ? 'mirrored' : 'plain'}`, SEEDS, ({ next, note, random }) => {
        const bytes = next();
        const at = random.integer(0, ring.memory.data.length - 1);
        bytes.copy(ring.memory.data, at, 0, Math.min(bytes.length, ring.memory.data.length - at));
        const cursors = [
          consumer.cursor + random.integer(0, 1024),
          consumer.cursor + 4 * random.integer(0, 256),
          random.integer(0, 2 ** 32 - 1),
        ];
        ring.memory.words[WORD.producerCursor] = cursors[random.integer(0, 9)] ?? (cursors[1] as number);
        note(receive(ring, consumer, reader, random.integer(0, 3) || undefined));
        // After a violation, or where no record can start, the connection is over: another one begins.
        if (consumer.violated || (consumer.offset & 3) !== 0) {
          consumer = new RingConsumer(ring.memory);
          reader = new RecordReader(consumer);
        }
      });
    });
  }

  it('the reader of records in memory that another thread rewrites all the time', { timeout: FUZZ_TIMEOUT }, async () => {
    const ring = hostile(4096, false);
    const attacker = new Worker(
      `const { workerData: { buffer, header, guard, words, cursor } } = require('node:worker_threads');
       const control = new Int32Array(buffer, 0, header / 4);
       const lengths = new Int32Array(buffer, header + guard, words);
       let state = 1;
       const next = () => (state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0);
       for (;;) {
         for (let i = 0; i < 2000; i++) {
           const value = next();
           const near = [value & 63, value & 2047, -1, value, 0, 2044, 2045, 4][value >>> 29];
           Atomics.store(lengths, (next() >>> 1) % words, near);
           // Mostly a cursor that can be: what the reader has taken plus some.
           if (i % 4 === 0) Atomics.store(control, cursor, (value & 15) === 0 ? value : Atomics.load(control, 64) + ((value >>> 8) & 4092));
         }
       }`,
      {
        eval: true,
        workerData: { buffer: ring.buffer, header: HEADER_BYTES, guard: GUARD, words: ring.lengths.length, cursor: WORD.producerCursor },
      },
    );
    try {
      await new Promise((resolve, reject) => attacker.once('online', resolve).once('error', reject));
      let consumer = new RingConsumer(ring.memory);
      let reader = new RecordReader(consumer);
      await fuzz('records, rewritten meanwhile', SEEDS, ({ note, random }) => {
        note(receive(ring, consumer, reader, random.integer(0, 3) || undefined));
        if (consumer.violated) {
          consumer = new RingConsumer(ring.memory);
          reader = new RecordReader(consumer);
          Atomics.store(ring.memory.words, WORD.consumerCursor, 0);
        }
      });
    } finally {
      await attacker.terminate();
    }
  });
});
