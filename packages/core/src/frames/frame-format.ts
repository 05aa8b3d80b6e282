// frame-format.ts - how a typed array lies in a ring: a record (ring/records.ts) whose body begins with a tag.
//
//   +0  length   32 bits: bytes of the body, 4 + the payload rounded up to 8; 0xffffffff = skip to the end of the ring
//   +4  tag      32 bits: 0x5346 << 16 | padding bytes << 8 | kind of element
//                0x53460000 and no payload: a mark, which is no frame (piscina/serve-frames.ts: the answer is where the frame was)
//   +8  payload  the elements, in the byte order of the machine
//   ... padding  to a multiple of 8, so that the next frame, and its elements, are aligned
//
// A frame never goes over the end of the ring, mirrored or not: frames of one size lie at the same places in each round, and
// one view per place serves for good.

import { SmcError } from '../errors.js';
import { expected } from '../given.js';
import type { RingProducer } from '../ring/producer.js';

/** Every typed array there is; Float16Array where the runtime has it. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** The constructor of a typed array, as `Float32Array`. */
export interface TypedArrayConstructor<T extends TypedArray> {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

export const FRAME_HEADER_BYTES = 8;
export const FILLER = -1;
const MAGIC = 0x5346; // "SF"

/** Position in this list is the kind of element on the wire: only ever append. */
const KINDS = [
  '',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
];

/** @throws SmcError `ERR_SMC_INVALID_OPTION` for anything but a constructor of typed arrays. */
export function kindOf(type: unknown, call = 'frames', argument = 'type'): number {
  const { name, BYTES_PER_ELEMENT } = (typeof type === 'function' ? type : {}) as Partial<TypedArrayConstructor<TypedArray>>;
  const kind = KINDS.indexOf(name ?? '', 1);
  expected(kind > 0 && Number.isInteger(BYTES_PER_ELEMENT), call, argument, 'a class of typed arrays, as Float32Array', type);
  return kind;
}

export const nameOf = (kind: number): string => KINDS[kind] || 'unknown elements';

/** Bytes of the body, as its length word has them, for a payload. */
export const bodyBytes = (payload: number): number => 4 + ((payload + 7) & ~7);

/** Bytes in the ring of a body. */
export const framedBytes = (body: number): number => 4 + body;

/** Most bytes of payload in a ring. */
export const maxPayload = (capacity: number): number => capacity / 2 - FRAME_HEADER_BYTES;

export const tagOf = (kind: number, payload: number): number => (MAGIC << 16) | (((8 - (payload & 7)) & 7) << 8) | kind;

/** Of a header with neither kind nor elements: a sign whose meaning users of frames agree on, no frame. */
export const MARK_TAG = tagOf(0, 0);

/** Is this the tag of a frame? Then its low 16 bits mean something. */
export const isTag = (tag: number): boolean => tag >>> 16 === MAGIC;

/** Elements of a frame with this tag and body; undefined when they cannot be. */
export function elementsOf(tag: number, body: number, bytesPerElement: number): number | undefined {
  const padding = (tag >>> 8) & 0xff;
  const payload = body - 4 - padding;
  if ((body & 7) !== 4 || padding > 7 || payload < 0 || payload % bytesPerElement !== 0) return undefined;
  return payload / bytesPerElement;
}

/** The words of a ring's data, where lengths and tags are. */
export function wordsOf({ data }: { readonly data: Uint8Array }): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.length >> 2);
}

/** Free bytes needed for `total` contiguous ones at the place where they would go now. */
export function needed(tx: RingProducer, total: number): number {
  const rest = tx.capacity - (tx.cursor & (tx.capacity - 1));
  return total <= rest ? total : rest + total;
}

/**
 * Room for `total` contiguous bytes, with a filler before them where they would go over the end: their offset, or -1. They
 * are not counted as written. Words of a filler are written before they are published, as all data.
 * @throws SmcError `ERR_SMC_RING_MISUSE` where no frame can start.
 */
export function place(tx: RingProducer, words: Int32Array, total: number): number {
  if ((tx.cursor & 7) !== 0) {
    throw new SmcError('ERR_SMC_RING_MISUSE', 'the ring has been written as a byte stream or with records: no frame can start here');
  }
  const bytes = needed(tx, total);
  if (tx.space(bytes) < bytes) return -1;
  tx.flushStage();
  if (bytes > total) {
    words[(tx.cursor & (tx.capacity - 1)) >> 2] = FILLER;
    tx.advance(bytes - total);
  }
  return tx.cursor & (tx.capacity - 1);
}
