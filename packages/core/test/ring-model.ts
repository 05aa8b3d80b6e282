// ring-model.ts - what a ring has to do, written as a queue: used for memory of every kind, here and by the tests of backends.

import fc from 'fast-check';
import { RingConsumer } from '../src/ring/consumer.js';
import { allocateShared, HEADER_BYTES, initialise, type RingMemory } from '../src/ring/layout.js';
import { RingProducer } from '../src/ring/producer.js';
import { STAGE_BYTES, stage } from '../src/ring/stage.js';

// Reproducible by default; another seed explores elsewhere.
fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 7609) });

const GUARD = 512;
const CANARY = 0xa5;

export interface GuardedMemory {
  readonly memory: RingMemory;
  /** @throws Error when a byte before, between or behind header and data was written. */
  check(): void;
}

/** A ring in shared memory with something to notice around it. */
export function guarded(capacity: number): GuardedMemory {
  const buffer = new SharedArrayBuffer(GUARD + HEADER_BYTES + GUARD + capacity + GUARD);
  const headerAt = GUARD;
  const dataAt = headerAt + HEADER_BYTES + GUARD;
  const guards = [0, headerAt + HEADER_BYTES, dataAt + capacity].map((at) => new Uint8Array(buffer, at, GUARD).fill(CANARY));
  const words = new Int32Array(buffer, headerAt, HEADER_BYTES / 4);
  const memory = { words, data: Buffer.from(buffer, dataAt, capacity), capacity, mirrored: false };
  initialise(memory);
  return {
    memory,
    check: () => {
      if (guards.some((guard) => guard.some((byte) => byte !== CANARY))) throw new Error('memory outside the ring was written');
    },
  };
}

/** Byte number `at` of every stream here: neighbours differ, and so do bytes a ring apart. */
export const byteAt = (at: number): number => (Math.imul(at ^ (at >>> 11), 0x9e3779b1) >>> 24) & 0xff;
export const bytesAt = (at: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => byteAt(at + i));

export function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

export function sameBytes(actual: Uint8Array, at: number, what: string): void {
  for (let i = 0; i < actual.length; i++) same(actual[i], byteAt(at + i), `${what}, byte ${at + i} of the stream`);
}

/** Moves both ends of an empty ring on to `cursor`, through everything a ring of that many bytes has seen. */
export function wind(producer: RingProducer, consumer: RingConsumer, cursor: number): void {
  for (let left = cursor; left > 0; ) {
    const bytes = Math.min(left, producer.capacity);
    same(producer.space(bytes) >= bytes, true, 'room while winding');
    producer.advance(bytes);
    producer.publish();
    same(consumer.available(), bytes, 'bytes while winding');
    consumer.advance(bytes);
    consumer.publish();
    left -= bytes;
  }
}

export type ByteOp =
  | {
      readonly do: 'write' | 'reserve' | 'claim' | 'collect' | 'keep' | 'peek' | 'copy' | 'release' | 'advance';
      readonly length: number;
      readonly part: number;
    }
  | { readonly do: 'publish' | 'announce' | 'elsewhere' | 'unkeep' };

/** Lengths of every magnitude up to twice the capacity; small ones and those about the capacity are likely. */
const lengths = (capacity: number): fc.Arbitrary<number> =>
  fc.oneof(fc.nat(8), fc.nat(capacity), fc.integer({ min: capacity - 4, max: capacity + 4 }), fc.nat(2 * capacity));

export function byteOps(capacity: number, maxLength = 60): fc.Arbitrary<ByteOp[]> {
  const sized = fc.record({
    do: fc.constantFrom<'write' | 'reserve' | 'claim' | 'collect' | 'keep' | 'peek' | 'copy' | 'release' | 'advance'>(
      'write',
      'reserve',
      'claim',
      'collect',
      'keep',
      'peek',
      'copy',
      'release',
      'advance',
    ),
    length: lengths(capacity),
    part: fc.nat(100),
  });
  const plain = fc.record({
    do: fc.constantFrom<'publish' | 'announce' | 'elsewhere' | 'unkeep'>('publish', 'announce', 'elsewhere', 'unkeep'),
  });
  return fc.array(fc.oneof({ weight: 4, arbitrary: sized }, { weight: 2, arbitrary: plain }), { maxLength });
}

/** Runs the operations on a ring and on a queue of bytes, from `start` on; they must agree about everything. */
export function runBytes(memory: RingMemory, ops: readonly ByteOp[], start = 0): void {
  const { capacity, mirrored } = memory;
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  wind(producer, consumer, start);
  // Positions in the stream: written, published; released, announced; and what the consumer has last been told.
  let [written, published, released, announced, known] = [start, start, start, start, start];

  // What the producer keeps to itself, given back or not.
  let kept: number | undefined;

  const free = () => capacity - (written - Math.min(announced, kept ?? announced));
  const put = (view: Uint8Array, length: number) => view.set(bytesAt(written, length).subarray(0, length));
  const toEnd = () => capacity - (written % capacity);

  for (const op of ops) {
    switch (op.do) {
      case 'write': {
        const taken = producer.write(bytesAt(written, op.length));
        same(taken, Math.min(op.length, free()), 'bytes taken by write');
        written += taken;
        break;
      }
      case 'reserve': {
        const view = producer.reserve(op.length);
        same(view !== undefined, op.length > 0 && op.length <= free(), 'reserve');
        if (view === undefined) break;
        same(view.length, mirrored ? op.length : Math.min(op.length, toEnd()), 'length of a reserved view');
        const length = Math.floor((view.length * op.part) / 100);
        put(view, length);
        misuse(() => producer.commit(view.length + 1), 'commit');
        producer.reserve(op.length);
        producer.commit(length);
        published = written += length;
        break;
      }
      case 'claim': {
        const at = producer.claim(op.length);
        const fits = op.length <= free() && (mirrored || op.length <= toEnd());
        same(at, fits ? written % capacity : -1, 'offset of a claim');
        if (at < 0) break;
        put(producer.data.subarray(at, at + op.length), op.length);
        producer.advance(op.length);
        written += op.length;
        break;
      }
      case 'collect': {
        if (op.length > STAGE_BYTES / 2) break;
        const at = producer.collect(op.length);
        same(at >= 0, op.length <= free(), 'collect');
        if (at < 0) break;
        stage.bytes.set(bytesAt(written, op.length), at);
        written += op.length;
        break;
      }
      case 'keep': {
        const least = kept ?? announced;
        kept = least + Math.floor(((written - least) * op.part) / 100);
        producer.keep(kept);
        break;
      }
      case 'unkeep':
        kept = undefined;
        producer.keep(undefined);
        break;
      case 'elsewhere':
        // Another ring of this thread takes the stage.
        new RingProducer(allocateShared(64)).collect(1);
        break;
      case 'publish':
        producer.publish();
        published = written;
        break;
      case 'peek': {
        const view = consumer.peek(op.length);
        known = published;
        const length = Math.min(op.length, published - released, mirrored ? capacity : capacity - (released % capacity));
        same(view?.length ?? 0, length, 'length of a peeked view');
        if (view !== undefined) sameBytes(view, released, 'peek');
        break;
      }
      case 'copy': {
        same(consumer.known, known - released, 'known bytes');
        const skip = Math.floor(((known - released) * op.part) / 100);
        const target = new Uint8Array(known - released - skip + 2);
        consumer.copy(target, 1, target.length - 2, skip);
        same(target[0], 0, 'byte before a copy');
        same(target[target.length - 1], 0, 'byte behind a copy');
        sameBytes(target.subarray(1, -1), released + skip, 'copy');
        break;
      }
      case 'release':
        if (op.length > known - released) misuse(() => consumer.release(op.length), 'release');
        else {
          consumer.release(op.length);
          announced = released += op.length;
        }
        break;
      case 'advance': {
        const length = Math.min(op.length, known - released);
        consumer.advance(length);
        released += length;
        break;
      }
      case 'announce':
        same(consumer.publish(), false, 'a waiting producer');
        announced = released;
        break;
    }
    same(producer.unpublished, written - published, 'unpublished bytes');
    same(consumer.available(), published - released, 'readable bytes');
    known = published;
    same(producer.cursor, written | 0, 'producer cursor');
    same(consumer.cursor, released | 0, 'consumer cursor');
  }
  same(producer.violated || consumer.violated, false, 'a violation');
}

function misuse(run: () => void, what: string): void {
  try {
    run();
  } catch (error) {
    return same((error as { code?: string }).code, 'ERR_SMC_RING_MISUSE', what);
  }
  throw new Error(`${what} of too much was allowed`);
}
