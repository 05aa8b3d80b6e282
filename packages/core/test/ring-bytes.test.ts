// ring-bytes.test.ts - the byte ring is a queue of bytes: any operations, any sizes, on both sides of every wrap.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateShared, HEADER_BYTES, initialise, RING_MAGIC, RING_VERSION, WORD } from '../src/ring/layout.js';
import { RingConsumer } from '../src/ring/consumer.js';
import { RingProducer } from '../src/ring/producer.js';
import { byteOps, guarded, runBytes, wind } from './ring-model.js';

const WRAP = 2 ** 32;

describe('a ring', () => {
  it.each([64, 256, 4096])('of %d bytes is a queue of bytes', (capacity) => {
    fc.assert(
      fc.property(byteOps(capacity), (ops) => {
        const { memory, check } = guarded(capacity);
        runBytes(memory, ops);
        check();
      }),
      { numRuns: 300 },
    );
  });

  it('is a queue of bytes where the 32-bit cursors wrap', () => {
    const capacity = 65_536;
    fc.assert(
      fc.property(byteOps(capacity, 30), fc.nat(2 * capacity), (ops, before) => {
        const { memory, check } = guarded(capacity);
        runBytes(memory, ops, WRAP - before);
        check();
      }),
      { numRuns: 60 },
    );
  });

  it('shows nothing before it is published, and everything after', () => {
    const memory = allocateShared(4096);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    producer.write(Buffer.from('hello'));
    expect(consumer.available()).toBe(0);
    expect(consumer.peek()).toBeUndefined();
    producer.publish();
    expect(Buffer.from(consumer.peek() as Uint8Array).toString()).toBe('hello');
  });

  it('gives room back only when that is announced', () => {
    const memory = allocateShared(64);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    expect(producer.write(new Uint8Array(100))).toBe(64);
    producer.publish();
    consumer.available();
    consumer.advance(10);
    expect(producer.space(1)).toBe(0);
    consumer.publish();
    expect(producer.space(1)).toBe(10);
  });

  it('counts what went through it, however often the cursors wrap', () => {
    const memory = allocateShared(4096);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    const piece = 2 ** 30 + 7;
    for (let pieces = 1; pieces <= 20; pieces++) {
      producer.advance(piece);
      consumer.advance(piece);
      expect([producer.total, consumer.total]).toEqual([pieces * piece, pieces * piece]);
    }
  });

  it('may have its header among others', () => {
    const words = new Int32Array(new SharedArrayBuffer(3 * HEADER_BYTES));
    const rings = [0, 1, 2].map((index) => {
      const memory = allocateShared(64);
      return { ...memory, words: words.subarray(index * 128, (index + 1) * 128), within: { words, at: index * 128 } };
    });
    for (const memory of rings) initialise(memory);
    const [producers, consumers] = [rings.map((one) => new RingProducer(one)), rings.map((one) => new RingConsumer(one))];
    producers.forEach((producer, index) => {
      producer.write(Buffer.from('abc').subarray(index));
      producer.publish();
      producer.setState(index);
    });
    expect(consumers.map((one) => Buffer.from(one.peek() as Uint8Array).toString())).toEqual(['abc', 'bc', 'c']);
    expect(consumers.map((one) => one.state())).toEqual([0, 1, 2]);
    consumers[1]?.release(2);
    expect(rings.map((one) => one.words[WORD.consumerCursor])).toEqual([0, 2, 0]);
  });

  it('tells the consumer that the producer waits, until it does not', () => {
    const memory = allocateShared(64);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    producer.write(new Uint8Array(64));
    producer.publish();
    producer.setWriteBlocked(true);
    consumer.available();
    consumer.advance(1);
    expect(consumer.publish()).toBe(true);
    expect(consumer.publish()).toBe(false); // nothing new to announce
    producer.setWriteBlocked(false);
    consumer.advance(1);
    expect(consumer.publish()).toBe(false);
  });

  it('takes a capacity-long reservation from any position in mirrored memory, and up to the end otherwise', () => {
    const memory = allocateShared(4096);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    wind(producer, consumer, 1000);
    expect(producer.reserve(4096)?.length).toBe(3096);
    expect(producer.reserve(4097)).toBeUndefined();
    expect(producer.reserve(0)).toBeUndefined();
    expect(producer.reserve(-1)).toBeUndefined();
  });

  it('begins with its constants and nothing else set', () => {
    const { words } = allocateShared(4096);
    const set = [...words.entries()].filter(([, value]) => value !== 0);
    expect(set).toEqual([
      [WORD.magic, RING_MAGIC],
      [WORD.version, RING_VERSION],
      [WORD.capacity, 4096],
    ]);
  });

  it.each([Number.NaN, -1, 65])('refuses to commit or release %d bytes of 64 reserved or readable ones', (length) => {
    const memory = allocateShared(64);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    producer.reserve(64);
    expect(() => producer.commit(length)).toThrow(expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' }));
    producer.reserve(64);
    producer.commit(64);
    consumer.available();
    expect(() => consumer.release(length)).toThrow(expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' }));
  });
});
