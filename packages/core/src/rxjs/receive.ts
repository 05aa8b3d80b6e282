// receive.ts - what comes over a connection, as Observables.

import type { Duplex } from 'node:stream';
import type { Observable, ObservableInput } from 'rxjs';
import { kindOf, type TypedArray, type TypedArrayConstructor } from '../frames/frame-format.js';
import type { ReadableFrame } from '../frames/frame-reader.js';
import type { FrameConnection, FrameOptions } from '../frames/typed-frames.js';
import { expectConnection, expectDuplex, expectFunction, expectLimit, expectOptions } from '../given.js';
import { type RingConnection, ringOf } from '../messages/send-all.js';
import { framesOf } from './frames-of.js';
import { received } from './received.js';

/** Most records of one batch, unless said otherwise. */
const BATCH = 1024;

/**
 * The records that come over a connection with a ring, one by one, in private memory that is the subscriber's to keep.
 *
 * With `project` each record's observable (or promise, array, iterable) is emitted, and the next record is taken when it has
 * completed: as `concatMap`, but without its buffer. The ring fills and the peer waits.
 *
 * It completes when the peer has ended; it errors with the connection's error after what came before it, with SmcError
 * `ERR_SMC_FALLBACK` without a ring and `ERR_SMC_RING_MISUSE` where no record starts. Unsubscribing keeps the connection open,
 * and what was not emitted in the ring. One subscriber at a time; others share by operators, as `share()`.
 * @throws SmcError `ERR_SMC_INVALID_OPTION`, as all functions here, for what is no connection, no limit, no type, no function.
 */
export function fromRecords(end: RingConnection & Duplex): Observable<Uint8Array>;
export function fromRecords<R>(end: RingConnection & Duplex, project: (record: Uint8Array) => ObservableInput<R>): Observable<R>;
export function fromRecords(
  end: RingConnection & Duplex,
  project: (record: Uint8Array) => ObservableInput<unknown> = one,
): Observable<unknown> {
  expectConnection(end, 'fromRecords');
  expectFunction(project, 'fromRecords', 'project');
  return received(end, () => {
    const ring = ringOf(end);
    let record: Uint8Array | undefined;
    const keep = (bytes: Uint8Array, offset: number, length: number): void => {
      record = bytes.subarray(offset, offset + length);
    };
    return {
      news: ring,
      take: () => (ring.receive(keep, 1) === 0 ? undefined : (record as Uint8Array)),
      project,
      release: () => {},
      reason: () => end.errored,
    };
  });
}

/** The same in batches of one to `limit`, all that have come at once: much quicker for small records. */
export function fromBatches(end: RingConnection & Duplex, limit?: number): Observable<Uint8Array[]>;
export function fromBatches<R>(
  end: RingConnection & Duplex,
  limit: number,
  project: (batch: Uint8Array[]) => ObservableInput<R>,
): Observable<R>;
export function fromBatches(
  end: RingConnection & Duplex,
  limit = BATCH,
  project: (batch: Uint8Array[]) => ObservableInput<unknown> = one,
): Observable<unknown> {
  expectConnection(end, 'fromBatches');
  expectLimit(limit, 'fromBatches');
  expectFunction(project, 'fromBatches', 'project');
  return received(end, () => {
    const ring = ringOf(end);
    let batch: Uint8Array[] = [];
    const keep = (bytes: Uint8Array, offset: number, length: number) => void batch.push(bytes.subarray(offset, offset + length));
    return {
      news: ring,
      take: () => {
        batch = [];
        return ring.receive(keep, limit) === 0 ? undefined : batch;
      },
      project,
      release: () => {},
      reason: () => end.errored,
    };
  });
}

/**
 * The typed frames of a connection (a socket, a channel end, any Duplex of bytes), as `frames` has them.
 *
 * Without `project` each is copied, and the copy is the subscriber's. With `project` nothing is: the frame is lent until the
 * observable (or promise, array, iterable) made of it has completed, and the next is taken then, so that the peer waits:
 *
 *     fromFrames(end, Float32Array, ({ view }) => [mean(view)]).pipe(bufferCount(100, 1))
 *
 * It completes when the peer has ended, and errors with the connection's error after what came before it, with SmcError
 * `ERR_SMC_FRAME_TYPE` for frames of another type, and as `frames` throws. Unsubscribing gives a lent frame back; those that
 * follow stay, and the connection stays open. One subscriber at a time. On a socket subscribe before its first bytes come;
 * over TCP let nobody else call `frames` on it.
 */
export function fromFrames<T extends TypedArray>(
  end: FrameConnection,
  type: TypedArrayConstructor<T>,
  project?: undefined,
  options?: FrameOptions,
): Observable<T>;
export function fromFrames<T extends TypedArray, R>(
  end: FrameConnection,
  type: TypedArrayConstructor<T>,
  project: (frame: ReadableFrame<T>) => ObservableInput<R>,
  options?: FrameOptions,
): Observable<R>;
export function fromFrames<T extends TypedArray>(
  end: FrameConnection,
  type: TypedArrayConstructor<T>,
  project: (frame: ReadableFrame<T>) => ObservableInput<unknown> = copied,
  options: FrameOptions = {},
): Observable<unknown> {
  expectDuplex(end, 'fromFrames');
  kindOf(type, 'fromFrames');
  expectFunction(project, 'fromFrames', 'project');
  expectOptions(options, 'fromFrames');
  return received(end, () => {
    const incoming = framesOf(end, type, options);
    return {
      news: incoming,
      take: () => incoming.take(),
      project,
      release: (frame) => frame.release(),
      reason: () => reasonOf(incoming),
    };
  });
}

const one = <T>(value: T): [T] => [value];
const copied = <T extends TypedArray>({ view }: ReadableFrame<T>): [TypedArray] => [view.slice()];

/** Where nothing more comes iterating tells why. */
async function reasonOf(ended: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of ended) break;
  } catch (error) {
    return error;
  }
  return null;
}
