// batches.ts - records by asynchronous iteration: all that have come, at once.

import { expectConnection, expectLimit } from '../given.js';
import { type RingConnection, ringOf } from './send-all.js';

/** Most records of one batch, unless said otherwise. */
const BATCH = 1024;

/**
 * Records as they come, in batches of one to `limit`, in private memory that is the receiver's to keep. Nothing more is
 * received while the loop body runs: the ring fills, and the peer waits for room. Leaving the loop keeps the connection open
 * and what has not been handed out in the ring.
 * @throws the connection's error after the records that came before it; SmcError `ERR_SMC_FALLBACK` without a ring,
 * `ERR_SMC_RING_MISUSE` where no record starts. The call itself: `ERR_SMC_INVALID_OPTION`
 */
export function batches(end: RingConnection, limit = BATCH): AsyncGenerator<Uint8Array[], void, undefined> {
  expectConnection(end, 'batches');
  // A limit of 0 would look for ever, and never take anything.
  expectLimit(limit, 'batches');
  return batchesOf(end, limit);
}

async function* batchesOf(end: RingConnection, limit: number): AsyncGenerator<Uint8Array[], void, undefined> {
  const ring = ringOf(end);
  // It is thrown to whoever iterates.
  const heard = (): void => {};
  end.on('error', heard);
  try {
    let batch: Uint8Array[] = [];
    const keep = (bytes: Uint8Array, offset: number, length: number) => void batch.push(bytes.subarray(offset, offset + length));
    while (await ring.readable()) {
      if (ring.receive(keep, limit) === 0) continue;
      const full = batch;
      batch = [];
      yield full;
    }
    if (end.errored !== null) throw end.errored;
  } finally {
    // Of an error that was thrown the event is yet to come.
    if (end.errored === null) end.off('error', heard);
  }
}
