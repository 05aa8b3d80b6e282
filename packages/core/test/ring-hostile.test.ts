// ring-hostile.test.ts - the other side may write any number into any word at any time: nothing outside the ring is read
// or written, and a cursor that cannot be is a violation.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONN_STATE, type RingMemory, WORD } from '../src/ring/layout.js';
import { RingConsumer } from '../src/ring/consumer.js';
import { RingProducer } from '../src/ring/producer.js';
import { guarded, same } from './ring-model.js';

const CAPACITY = 256;

/** Numbers an attacker would try: near the cursors there are, near the capacity, near the sign, and any. */
const word = fc.oneof(
  fc.integer({ min: -CAPACITY - 2, max: 3 * CAPACITY }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1, 0, CAPACITY, CAPACITY + 1, -CAPACITY),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);

function inside({ data, capacity }: RingMemory, view: Uint8Array | undefined): void {
  if (view === undefined) return;
  const at = view.byteOffset - data.byteOffset;
  same(
    view.buffer === data.buffer && at >= 0 && at + view.length <= capacity,
    true,
    `a view of ${view.length} bytes at ${at} inside the ring`,
  );
}

describe('a hostile producer', () => {
  const op = fc.record({ do: fc.constantFrom('attack', 'attack', 'peek', 'copy', 'release', 'advance', 'announce'), value: word });

  it('gives the consumer nothing outside the ring, and a violation for every impossible cursor', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const { memory, check } = guarded(CAPACITY);
        const consumer = new RingConsumer(memory);
        const target = new Uint8Array(2 * CAPACITY);
        let violated = false;
        for (const { do: what, value } of ops) {
          const { known } = consumer;
          if (what === 'attack') memory.words[WORD.producerCursor] = value;
          else if (what === 'peek') inside(memory, consumer.peek(Math.abs(value)));
          else if (what === 'copy') consumer.copy(target, 0, Math.min(known, Math.abs(value)));
          else if (what === 'release' && known > 0) consumer.release(Math.abs(value) % (known + 1));
          else if (what === 'advance' && known > 0) consumer.advance(Math.abs(value) % (known + 1));
          else consumer.publish();

          const claimed = ((memory.words[WORD.producerCursor] as number) - consumer.cursor) >>> 0;
          const impossible = claimed > CAPACITY - consumer.unannounced || claimed < consumer.known;
          if (impossible) violated = true;
          same(consumer.available(), impossible ? 0 : claimed, 'readable bytes');
          same(consumer.violated, violated || consumer.violated, 'violated');
          same(consumer.known <= CAPACITY, true, 'no more known than the ring holds');
        }
        same(consumer.violated || !violated, true, 'a violation that stays');
        check();
      }),
      { numRuns: 2000 },
    );
  });

  it('may set any state and any other word without effect on the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(127), word), { maxLength: 20 }), (writes) => {
        const { memory } = guarded(CAPACITY);
        const consumer = new RingConsumer(memory);
        for (const [index, value] of writes) {
          if (index === WORD.producerCursor) continue;
          memory.words[index] = value;
          same(consumer.available(), 0, 'readable bytes');
          same(typeof (consumer.state() & CONN_STATE.closed), 'number', 'state');
        }
        same(consumer.violated, false, 'violated');
      }),
    );
  });
});

describe('a hostile consumer', () => {
  const op = fc.record({ do: fc.constantFrom('attack', 'attack', 'write', 'reserve', 'claim', 'space', 'publish'), value: word });

  it('lets the producer write nothing outside the ring, and is a violation for every impossible cursor', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const { memory, check } = guarded(CAPACITY);
        const producer = new RingProducer(memory);
        let seen = 0; // the consumer cursor the producer has last believed
        for (const { do: what, value } of ops) {
          const size = Math.abs(value) % (2 * CAPACITY);
          if (what === 'attack') memory.words[WORD.consumerCursor] = value;
          else if (what === 'publish') producer.publish();
          else {
            const known = CAPACITY - ((producer.cursor - seen) >>> 0);
            const used = (producer.cursor - (memory.words[WORD.consumerCursor] as number)) >>> 0;
            // What no ring can hold is refused without a look.
            const looks = known < size && (what !== 'reserve' || size <= CAPACITY);
            const impossible = looks && (used > CAPACITY || used > CAPACITY - known);
            const free = looks ? (impossible ? 0 : CAPACITY - used) : known;
            if (looks && !impossible) seen = memory.words[WORD.consumerCursor] as number;
            const before = producer.violated;
            if (what === 'space') same(producer.space(size), free, 'room');
            if (what === 'write') same(producer.write(new Uint8Array(size)), Math.min(size, free), 'bytes taken');
            if (what === 'reserve' && size > 0 && size <= CAPACITY) {
              const view = producer.reserve(size);
              inside(memory, view);
              same(view !== undefined, free >= size, 'a reservation');
              view?.fill(1);
              producer.commit(view?.length ?? 0);
            } else if (what === 'claim') {
              const at = producer.claim(size);
              same(at === -1 || (at >= 0 && at + size <= CAPACITY), true, 'a claim inside the ring');
              if (at >= 0) producer.advance(size);
            }
            same(producer.violated, before || impossible, 'violated');
          }
        }
        check();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a violation', () => {
  it('is a cursor behind what was already seen, on either side', () => {
    const one = guarded(CAPACITY);
    const consumer = new RingConsumer(one.memory);
    one.memory.words[WORD.producerCursor] = 100;
    expect(consumer.available()).toBe(100);
    one.memory.words[WORD.producerCursor] = 99;
    expect([consumer.available(), consumer.violated]).toEqual([0, true]);

    const two = guarded(CAPACITY);
    const producer = new RingProducer(two.memory);
    producer.write(new Uint8Array(CAPACITY));
    two.memory.words[WORD.consumerCursor] = 100;
    expect(producer.space(1)).toBe(100);
    two.memory.words[WORD.consumerCursor] = 99;
    expect([producer.space(CAPACITY), producer.violated]).toEqual([0, true]);
  });

  it('is a release of bytes that were never sent', () => {
    const { memory } = guarded(CAPACITY);
    const producer = new RingProducer(memory);
    producer.write(new Uint8Array(CAPACITY));
    memory.words[WORD.consumerCursor] = CAPACITY + 1;
    expect([producer.space(1), producer.violated]).toEqual([0, true]);
  });
});
