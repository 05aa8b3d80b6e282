// ring-records.test.ts - records over a ring are a queue of records, whatever their sizes and batches; what a hostile peer
// writes in place of lengths is a violation and never a view outside.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateShared, WORD } from '../src/ring/layout.js';
import { RingConsumer } from '../src/ring/consumer.js';
import { RingProducer } from '../src/ring/producer.js';
import { stage } from '../src/ring/stage.js';
import { maxRecord, RecordReader, RecordWriter } from '../src/ring/records.js';
import { guarded, same } from './ring-model.js';
import { recordOps, runRecords } from './ring-records-model.js';

function ends(capacity: number) {
  const memory = allocateShared(capacity);
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)];
  return { memory, producer, consumer, writer: new RecordWriter(producer), reader: new RecordReader(consumer) };
}

/** The first byte of each record there is. */
function receive(reader: RecordReader, limit?: number): number[] {
  const seen: number[] = [];
  reader.receive((bytes, offset, length) => seen.push(length === 0 ? -1 : (bytes[offset] as number)), limit);
  return seen;
}

describe('records', () => {
  it.each([64, 256, 4096, 262_144])('are a queue in a ring of %d bytes', (capacity) => {
    fc.assert(
      fc.property(recordOps(capacity), (ops) => {
        const { memory, check } = guarded(capacity);
        runRecords(memory, ops);
        check();
      }),
      { numRuns: capacity > 100_000 ? 40 : 300 },
    );
  });

  it('leave collected bytes of a stream in their place when room comes while one is sent across the end of the ring', () => {
    const memory = allocateShared(1024);
    const consumer = new RingConsumer(memory);
    const reader = new RecordReader(consumer);
    let seen: number[] = [];
    /** The consumer reads right after the producer has found that there is no room. */
    class Racing extends RingProducer {
      override space(wanted: number): number {
        const free = super.space(wanted);
        if (free < wanted && seen.length === 0) {
          seen = receive(reader);
          consumer.publish();
        }
        return free;
      }
    }
    const producer = new Racing(memory);
    const writer = new RecordWriter(producer);
    const of = (first: number, count: number, length: number) =>
      Array.from({ length: count }, (_, i) => new Uint8Array(length).fill(first + i));
    writer.send(of(1, 10, 60));
    producer.publish();
    // As a stream does with small writes.
    const at = producer.collect(256);
    stage.bytes.fill(11, at, at + 256);
    expect(writer.send(of(12, 1, 200))).toBe(1);
    producer.publish();
    expect(seen).toEqual(of(1, 10, 1).map(([value]) => value));
    const collected = Buffer.alloc(256);
    expect(consumer.available()).toBeGreaterThan(256);
    consumer.copy(collected, 0, 256);
    expect(collected.equals(Buffer.alloc(256, 11))).toBe(true);
    consumer.release(256);
    expect(receive(reader)).toEqual([12]);
  });

  it('are a queue where the 32-bit cursors wrap', () => {
    const capacity = 65_536;
    fc.assert(
      fc.property(recordOps(capacity, 20), fc.nat(capacity / 2), (ops, before) => {
        const { memory, check } = guarded(capacity);
        runRecords(memory, ops, 2 ** 32 - 4 * before);
        check();
      }),
      { numRuns: 60 },
    );
  });

  it('of the largest size fit an empty ring wherever it is', () => {
    const { producer, consumer, writer, reader } = ends(256);
    const largest = new Uint8Array(maxRecord(256)).fill(7);
    for (let at = 0; at < 300; at++) {
      expect(writer.send([largest])).toBe(1);
      producer.publish();
      expect(receive(reader)).toEqual([7]);
      writer.sendOne(new Uint8Array(0)); // moves on by one word
      producer.publish();
      expect(receive(reader)).toEqual([-1]);
      consumer.publish();
    }
  });

  it('larger than half the ring are refused, after those before them', () => {
    const { producer, writer, reader } = ends(256);
    const records = [Uint8Array.of(1), Uint8Array.of(2), new Uint8Array(maxRecord(256) + 1), Uint8Array.of(3)];
    expect(() => writer.send(records)).toThrow(expect.objectContaining({ code: 'ERR_SMC_RECORD_TOO_LARGE' }));
    producer.publish();
    expect(receive(reader)).toEqual([1, 2]);
  });

  it('are sent from an index on', () => {
    const { producer, writer, reader } = ends(64);
    expect(writer.send([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)], 1)).toBe(2);
    expect(writer.send([Uint8Array.of(4)], 1)).toBe(0);
    producer.publish();
    expect(receive(reader)).toEqual([2, 3]);
  });

  it('that a handler has thrown at are taken; the next ones are still there', () => {
    const { producer, writer, reader } = ends(64);
    writer.send([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]);
    producer.publish();
    const failing = () => {
      throw new Error('of the handler');
    };
    expect(() => reader.receive(failing)).toThrow('of the handler');
    expect(receive(reader)).toEqual([2, 3]);
  });

  it('are handed out once when a handler receives, too', () => {
    const { producer, consumer, writer, reader } = ends(256);
    writer.send([1, 2, 3, 4].map((value) => Uint8Array.of(value, value)));
    producer.publish();
    const seen: number[] = [];
    const inner = () => {
      try {
        seen.push(...receive(reader, 2));
      } catch (error) {
        expect((error as { code?: string }).code).toBe('ERR_SMC_RING_MISUSE');
      }
    };
    reader.receive((bytes, offset) => {
      seen.push(bytes[offset] as number);
      if (seen.length === 1) inner();
    });
    seen.push(...receive(reader));
    expect(seen).toEqual([1, 2, 3, 4]);
    consumer.publish();
    expect([producer.space(256), producer.violated, consumer.violated]).toEqual([256, false, false]);
  });

  it('do not start within bytes written as a stream', () => {
    const { producer, consumer, writer, reader } = ends(64);
    producer.write(new Uint8Array(3));
    expect(() => writer.sendOne(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' }));
    producer.publish();
    consumer.available();
    consumer.release(3);
    expect(() => reader.receive(() => {})).toThrow(expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' }));
  });
});

describe('a hostile peer', () => {
  const CAPACITY = 256;
  const length = fc.oneof(
    fc.integer({ min: -3, max: 300 }),
    fc.constantFrom(-1, -(2 ** 31), 2 ** 31 - 1, 2 ** 31 - 4, maxRecord(CAPACITY), maxRecord(CAPACITY) + 1),
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  );

  it('cannot make a reader hand out anything but private memory of a length that fits', () => {
    const attack = fc.record({
      cursor: fc.nat(CAPACITY),
      words: fc.array(fc.tuple(fc.nat(CAPACITY / 4 - 1), length), { maxLength: 12 }),
      limit: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(attack, { maxLength: 6 }), (attacks) => {
        const { memory, check } = guarded(CAPACITY);
        const consumer = new RingConsumer(memory);
        const reader = new RecordReader(consumer);
        const lengths = new Int32Array(memory.data.buffer, memory.data.byteOffset, CAPACITY / 4);
        for (const { cursor, words, limit } of attacks) {
          for (const [at, value] of words) lengths[at] = value;
          memory.words[WORD.producerCursor] = consumer.cursor + cursor;
          const before = consumer.cursor;
          const count = reader.receive((bytes, offset, taken) => {
            same(bytes.buffer === memory.data.buffer, false, 'memory of the peer handed out');
            same(
              taken <= maxRecord(CAPACITY) && offset >= 0 && offset + taken <= bytes.length,
              true,
              `a record of ${taken} bytes at ${offset}`,
            );
          }, limit);
          same(count <= limit, true, 'no more records than asked for');
          same(consumer.cursor - before <= cursor, true, 'no more taken than there was');
          consumer.publish();
        }
        check();
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['a negative length', -2],
    ['a length of more than half the ring', maxRecord(CAPACITY) + 1],
    ['a length of more than is there', 33],
    ['the largest number', 2 ** 31 - 1],
    ['a filler of more than is there', -1],
  ])('commits a violation by %s', (_what, bad) => {
    const { memory, producer, consumer, writer, reader } = ends(CAPACITY);
    writer.send([Uint8Array.of(1), new Uint8Array(28)]);
    producer.publish();
    new Int32Array(memory.data.buffer, memory.data.byteOffset)[2] = bad;
    expect(receive(reader)).toEqual([1]);
    expect(consumer.violated).toBe(true);
    expect(receive(reader)).toEqual([]);
  });
});
