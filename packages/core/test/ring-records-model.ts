// ring-records-model.ts - what records over a ring have to do, written as a queue of records; for memory of every kind.

import fc from 'fast-check';
import { RingConsumer } from '../src/ring/consumer.js';
import type { RingMemory } from '../src/ring/layout.js';
import { RingProducer } from '../src/ring/producer.js';
import { maxRecord, RECORD_HEADER_BYTES, RecordReader, RecordWriter } from '../src/ring/records.js';
import { bytesAt, same, sameBytes, wind } from './ring-model.js';

export type RecordOp =
  | { readonly do: 'send'; readonly lengths: readonly number[] }
  | { readonly do: 'receive'; readonly limit: number }
  | { readonly do: 'publish' | 'announce' };

export function recordOps(capacity: number, maxLength = 40): fc.Arbitrary<RecordOp[]> {
  const most = maxRecord(capacity);
  const length = fc.oneof(
    { weight: 4, arbitrary: fc.nat(40) },
    { weight: 2, arbitrary: fc.nat(most) },
    { weight: 1, arbitrary: fc.integer({ min: most - 4, max: most + 1 }) },
  );
  return fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('send' as const), lengths: fc.array(length, { maxLength: 12 }) }),
      fc.record({
        do: fc.constant('receive' as const),
        limit: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(Number.MAX_SAFE_INTEGER)),
      }),
      fc.record({ do: fc.constantFrom<'publish' | 'announce'>('publish', 'announce') }),
    ),
    { maxLength },
  );
}

const framed = (length: number) => RECORD_HEADER_BYTES + Math.ceil(length / 4) * 4;

/** Runs the operations on a ring and on a queue of records; they must agree about everything. `start` is a multiple of 4. */
export function runRecords(memory: RingMemory, ops: readonly RecordOp[], start = 0): void {
  const { capacity, mirrored } = memory;
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  wind(producer, consumer, start);
  const writer = new RecordWriter(producer);
  const reader = new RecordReader(consumer);
  // Positions in the ring's stream, fillers and headers included; each record with where it ends.
  let [written, published, released, announced] = [start, start, start, start];
  const queue: { readonly seed: number; readonly length: number; readonly from: number; readonly to: number }[] = [];
  const kept: { readonly bytes: Uint8Array; readonly seed: number }[] = [];
  let seed = 0;

  /** Where the next record would begin, or undefined when it does not fit now. */
  const place = (length: number): number | undefined => {
    const rest = capacity - (written % capacity);
    const skip = mirrored || framed(length) <= rest ? 0 : rest;
    return skip + framed(length) <= capacity - (written - announced) ? written + skip : undefined;
  };

  for (const op of ops) {
    switch (op.do) {
      case 'send': {
        const records = op.lengths.map((length, i) => bytesAt(seed + i, length));
        let expected = 0;
        let oversized = false;
        for (const length of op.lengths) {
          oversized = length > maxRecord(capacity);
          const from = oversized ? undefined : place(length);
          if (from === undefined) break;
          queue.push({ seed: seed + expected, length, from, to: from + framed(length) });
          written = from + framed(length);
          expected++;
        }
        seed += expected;
        same(
          attempt(() => writer.send(records)),
          oversized ? 'ERR_SMC_RECORD_TOO_LARGE' : expected,
          'records taken',
        );
        break;
      }
      case 'publish':
        producer.publish();
        published = written;
        break;
      case 'receive': {
        let count = 0;
        const taken = reader.receive((bytes, offset, length) => {
          count++;
          const next = queue.shift();
          if (next === undefined || next.to > published) throw new Error('a record that was not published');
          same(length, next.length, 'length of a record');
          const view = bytes.subarray(offset, offset + length);
          same(view.length, length, 'bytes of a record');
          same(bytes.buffer === memory.data.buffer, false, 'memory of the peer handed out');
          sameBytes(view, next.seed, 'record');
          kept.push({ bytes: view, seed: next.seed });
          released = next.to;
        }, op.limit);
        same(taken, count, 'records counted');
        const left = queue.filter((record) => record.to <= published).length;
        same(left === 0 || count === op.limit, true, 'every published record is received');
        break;
      }
      case 'announce':
        consumer.publish();
        announced = released;
        break;
    }
    same(producer.cursor, written | 0, 'producer cursor');
    same(consumer.cursor, released | 0, 'consumer cursor');
  }
  same(producer.violated || consumer.violated, false, 'a violation');
  for (const { bytes, seed: of } of kept) sameBytes(bytes, of, 'a record that was kept');
}

function attempt(run: () => number): number | string | undefined {
  try {
    return run();
  } catch (error) {
    return (error as { code?: string }).code;
  }
}
