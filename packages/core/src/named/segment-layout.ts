// segment-layout.ts - what is where in a named segment, and the only look at what another process has written about it.
//
//   +0     magic | version | ready | capacity      constants of the creator; `ready` is stored last
//   +16    digest of the name, 4 words
//   +32    PID namespace of the creator
//   +64    creator:  process id | start, low | high
//   +128   attacher: claimed | process id | start, low | high | ready       by the attacher; `claimed` by compare-and-swap
//   +512   header of the ring the attacher reads   (ring/layout.ts)
//   +1024  header of the ring the creator reads
//   +4096  data of the first, then of the second, `capacity` bytes each; then SIGNATURE bytes that are not used
//
// The size says that a segment is ours before it is mapped: it is 4096 + 2 * capacity + SIGNATURE, as the kernel keeps it.

import { createHash } from 'node:crypto';
import { HEADER_BYTES, initialise, RING_MAGIC, RING_VERSION, type RingMemory, WORD } from '../ring/layout.js';
import { compareExchange, load, store } from '../ring/words.js';
import { pidNamespace, type ProcessIdentity } from './process-identity.js';

export const SEGMENT_MAGIC = 0x534d434e; // "SMCN"
export const SEGMENT_VERSION = 1;
const DATA_BYTES = 4096;
/** Nobody has a use for such a remainder of a page by chance, nor for the sizes that have it. */
const SIGNATURE = 1756;

/** Bytes of a ring of a named segment. macOS allows 4 MiB for all segments together unless it is configured otherwise. */
export const NAMED_RING_MIN = 16 * 1024;
export const NAMED_RING_MAX = 64 * 1024 * 1024;
export const NAMED_RING_DEFAULT = 256 * 1024;

/** Index of each word, in units of 32 bits. */
export const SEGMENT_WORD = {
  magic: 0,
  version: 1,
  ready: 2,
  capacity: 3,
  digest: 4,
  namespace: 8,
  creator: 16,
  claimed: 32,
  attacher: 33,
  attacherReady: 36,
} as const;

export const isRingSize = (bytes: number): boolean =>
  Number.isInteger(bytes) && bytes >= NAMED_RING_MIN && bytes <= NAMED_RING_MAX && (bytes & (bytes - 1)) === 0;

export const segmentBytes = (capacity: number): number => DATA_BYTES + 2 * capacity + SIGNATURE;

/** Bytes of each ring in a segment of this size, or undefined when no named segment has this size. */
export function capacityOf(bytes: number): number | undefined {
  const capacity = (bytes - DATA_BYTES - SIGNATURE) / 2;
  return isRingSize(capacity) ? capacity : undefined;
}

const digestOf = (name: string): Int32Array => new Int32Array(new Uint8Array(createHash('sha256').update(name).digest()).buffer);

/**
 * The System V key of a name: what `ipcs -m` shows. Different names may have the same key, one in four billion; the segment
 * holds more of the digest, so the second is refused, not confused.
 */
export function segmentKey(name: string): number {
  // The package takes no key 0, and IPC_PRIVATE is none; -1 it refuses.
  const key = (digestOf(name)[4] as number) >>> 0;
  return key === 0 || key === 0xffff_ffff ? 1 : key;
}

/** The rings of a segment: that which the attacher reads, and that which the creator reads. */
export interface SegmentRings {
  readonly toAttacher: RingMemory;
  readonly toCreator: RingMemory;
}

function ringsIn(buffer: ArrayBuffer, capacity: number): SegmentRings {
  const ring = (index: number): RingMemory => ({
    words: new Int32Array(buffer, HEADER_BYTES * (1 + index), HEADER_BYTES / 4),
    data: Buffer.from(buffer, DATA_BYTES + index * capacity, capacity),
    capacity,
    mirrored: false,
  });
  return { toAttacher: ring(0), toCreator: ring(1) };
}

/** Writes a new segment, which the kernel has filled with zeros. */
export function initialiseSegment(words: Int32Array<ArrayBuffer>, name: string, capacity: number, creator: ProcessIdentity): SegmentRings {
  const rings = ringsIn(words.buffer, capacity);
  initialise(rings.toAttacher);
  initialise(rings.toCreator);
  storeProcess(words, SEGMENT_WORD.creator, creator);
  words[SEGMENT_WORD.magic] = SEGMENT_MAGIC;
  words[SEGMENT_WORD.version] = SEGMENT_VERSION;
  words[SEGMENT_WORD.capacity] = capacity;
  words[SEGMENT_WORD.namespace] = pidNamespace();
  words.set(digestOf(name).subarray(0, 4), SEGMENT_WORD.digest);
  // pairs with isReady: what was written before is visible to who sees it
  store(words, SEGMENT_WORD.ready, 1);
  return rings;
}

export const isReady = (words: Int32Array): boolean => load(words, SEGMENT_WORD.ready) === 1;

/** What a segment that is ready says of itself, checked; or what is wrong with it. */
export type SegmentFacts = { readonly creator: ProcessIdentity; readonly rings: SegmentRings } | { readonly wrong: string };

/** Reads each word once. `words` is the whole segment, so its length is the kernel's. */
export function readSegment(words: Int32Array<ArrayBuffer>, name: string): SegmentFacts {
  const word = (index: number): number => load(words, index);
  if (word(SEGMENT_WORD.magic) !== SEGMENT_MAGIC) return { wrong: 'it is not one of this library' };
  const version = word(SEGMENT_WORD.version);
  if (version !== SEGMENT_VERSION) return { wrong: `it has version ${version}; this is version ${SEGMENT_VERSION}` };
  const digest = digestOf(name).subarray(0, 4);
  if (digest.some((value, i) => word(SEGMENT_WORD.digest + i) !== value)) return { wrong: 'it belongs to another name with the same key' };
  const capacity = word(SEGMENT_WORD.capacity);
  if (!isRingSize(capacity) || segmentBytes(capacity) !== words.byteLength) return { wrong: 'its ring size is not that of its memory' };
  if (word(SEGMENT_WORD.namespace) !== pidNamespace())
    return { wrong: 'its creator is in another PID namespace, where it cannot be watched' };
  const creator = loadProcess(words, SEGMENT_WORD.creator);
  if (creator === undefined) return { wrong: 'its creator is no process' };
  const rings = ringsIn(words.buffer, capacity);
  for (const { words: header } of [rings.toAttacher, rings.toCreator]) {
    const constants = [WORD.magic, WORD.version, WORD.capacity].map((index) => load(header, index));
    if (constants[0] !== RING_MAGIC || constants[1] !== RING_VERSION || constants[2] !== capacity)
      return { wrong: 'a ring of it is damaged' };
  }
  return { creator, rings };
}

/** Becomes the attacher: false when there is one, or was. */
export function claimSegment(words: Int32Array, attacher: ProcessIdentity): boolean {
  if (compareExchange(words, SEGMENT_WORD.claimed, 0, 1) !== 0) return false;
  storeProcess(words, SEGMENT_WORD.attacher, attacher);
  // pairs with attacherOf
  store(words, SEGMENT_WORD.attacherReady, 1);
  return true;
}

/** Where the attacher is: 'none', 'coming', who it is, or 'wrong' when that can be nobody. */
export function attacherOf(words: Int32Array): 'none' | 'coming' | 'wrong' | ProcessIdentity {
  if (load(words, SEGMENT_WORD.attacherReady) === 1) return loadProcess(words, SEGMENT_WORD.attacher) ?? 'wrong';
  return load(words, SEGMENT_WORD.claimed) === 0 ? 'none' : 'coming';
}

function storeProcess(words: Int32Array, index: number, { pid, start }: ProcessIdentity): void {
  words[index] = pid;
  words[index + 1] = start | 0;
  words[index + 2] = Math.floor(start / 2 ** 32);
}

function loadProcess(words: Int32Array, index: number): ProcessIdentity | undefined {
  const pid = load(words, index);
  const start = (load(words, index + 1) >>> 0) + load(words, index + 2) * 2 ** 32;
  // Signal 0 to zero or less would go to a group of processes.
  return pid > 0 && start >= 0 ? { pid, start } : undefined;
}
