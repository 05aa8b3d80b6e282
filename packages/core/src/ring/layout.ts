// layout.ts - the memory layout of one ring. Everything that reads or writes a ring gets its offsets from here.
//
//   header, 512 bytes: four lines of 128 bytes (two cache lines, so that neighbours are not prefetched together)
//
//   +0    magic | version | capacity | 0 ...       constants, written by the creator before the ring is shared
//   +128  producer cursor | connection state       written by the producer, read by the consumer
//         | write blocked | news
//   +256  consumer cursor                          written by the consumer, read by the producer
//   +384  decision                                 compare-and-swap by both, see transport/decision.ts
//         | sleeping | owner                       between threads only, see worker/worker-channel.ts; else 0
//
//   data, `capacity` bytes (a power of two), elsewhere: where the memory can be mapped twice in a row ("mirrored")
//   the data view is 2 * capacity long and a span is never split.
//
// Cursors are free-running 32-bit counters of bytes; position in the ring = cursor mod capacity, bytes in the ring =
// producer cursor - consumer cursor, modulo 2^32. Words are 32-bit in the byte order of the machine.
// Compare kernel smc: prod cursor ~ TCP snd_nxt, cons cursor ~ rcv_nxt of what the application has read.

export const RING_MAGIC = 0x534d4352; // "SMCR" ring
export const RING_VERSION = 1;

/** Bytes of one ring header. */
export const HEADER_BYTES = 512;

/** Index of each word in the header, in units of 32 bits. */
export const WORD = {
  magic: 0,
  version: 1,
  capacity: 2,
  producerCursor: 32,
  connState: 33,
  writeBlocked: 34,
  news: 35,
  consumerCursor: 64,
  decision: 96,
  sleeping: 97,
  owner: 98,
} as const;

/** Connection state bits the producer sets, as in a CDC message (RFC 7609 section 4.4, bytes 25). */
export const CONN_STATE = {
  /** No more bytes will follow those committed (half close). */
  sendingDone: 0x80,
  /** The producer has closed the connection and reads nothing more. */
  closed: 0x40,
  /** Closed with unread or unsent data, or by reset. */
  abnormal: 0x20,
} as const;

/** One ring's memory, however it was obtained. */
export interface RingMemory {
  /** The 128 words of the header. */
  readonly words: Int32Array;
  /**
   * Where the header is, too, when it lies in memory with those of other rings: from word `at` of one view of all of them. Who has many
   * connections then has that view in its caches, not one for each.
   */
  readonly within?: { readonly words: Int32Array; readonly at: number };
  /** `capacity` bytes, or twice that when mirrored. */
  readonly data: Buffer;
  readonly capacity: number;
  readonly mirrored: boolean;
  /**
   * Copies `length` bytes of `source`, from `start` on, to `at` in {@link data}; for pieces of {@link COPY_IN_BYTES} and more.
   * Absent where `TypedArray.set` is as quick.
   */
  readonly copyIn?: (at: number, source: Uint8Array, start: number, length: number) => void;
}

/** From here on a piece is worth a call of {@link RingMemory.copyIn}. */
export const COPY_IN_BYTES = 4096;

/** Writes the constants of a ring that nobody else can see yet and clears its state. */
export function initialise(memory: RingMemory): void {
  const { words, capacity } = memory;
  words.fill(0);
  words[WORD.magic] = RING_MAGIC;
  words[WORD.version] = RING_VERSION;
  words[WORD.capacity] = capacity;
}

/** A ring in new memory shared between threads of this process. Not mirrored. */
export function allocateShared(capacity: number): RingMemory {
  const memory = within(new SharedArrayBuffer(HEADER_BYTES + capacity), capacity);
  initialise(memory);
  return memory;
}

/** The ring another thread made by {@link allocateShared}; undefined when this memory is none. */
export function openShared(buffer: SharedArrayBuffer): RingMemory | undefined {
  const capacity = buffer.byteLength - HEADER_BYTES;
  if (capacity < 8 || (capacity & (capacity - 1)) !== 0) return undefined;
  const memory = within(buffer, capacity);
  const { words } = memory;
  const ours = words[WORD.magic] === RING_MAGIC && words[WORD.version] === RING_VERSION && words[WORD.capacity] === capacity;
  return ours ? memory : undefined;
}

function within(buffer: SharedArrayBuffer, capacity: number): RingMemory {
  return {
    words: new Int32Array(buffer, 0, HEADER_BYTES / 4),
    data: Buffer.from(buffer, HEADER_BYTES, capacity),
    capacity,
    mirrored: false,
  };
}
