// send-all.ts - records with back pressure. Whoever rather drops than waits calls `ring.send`: what it does not take was not sent.

import { SmcError, systemError } from '../errors.js';
import { expectConnection, expected } from '../given.js';
import type { RingSurface } from '../socket/ring-surface.js';

/**
 * A connection with a ring: a channel end, or a socket. From a socket receive before its first bytes come (in 'connect',
 * 'connection'): what its stream has read is not in the ring any more.
 */
export interface RingConnection {
  readonly ring: RingSurface | undefined;
  readonly errored: Error | null;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
}

/** @throws SmcError `ERR_SMC_FALLBACK` where there is none. */
export function ringOf({ ring }: { readonly ring: RingSurface | undefined }): RingSurface {
  if (ring === undefined) throw new SmcError('ERR_SMC_FALLBACK', 'this connection has no ring, or is not connected yet');
  return ring;
}

/**
 * Sends all records, in order, waiting for room; resolves when all are in the ring. Records of calls at the same time may
 * come between them. Each arrives whole or not at all. They are copied: the memory can be used again when this resolves.
 *
 * Rejects with the connection's error, or `EPIPE` when either side has closed, before all were taken; with SmcError
 * `ERR_SMC_RECORD_TOO_LARGE` for a record above `ring.maxRecord`, those before it being sent; `ERR_SMC_FALLBACK` without a ring;
 * `ERR_SMC_INVALID_OPTION` for no connection and no array.
 */
export async function sendAll(end: RingConnection, records: readonly Uint8Array[]): Promise<void> {
  expectConnection(end, 'sendAll');
  expected(Array.isArray(records), 'sendAll', 'records', 'an array of records', records);
  const ring = ringOf(end);
  for (let at = ring.send(records); at < records.length; at += ring.send(records, at)) {
    const room = ring.roomFor((records[at] as Uint8Array).length);
    if (!(await ring.writable(room))) throw end.errored ?? systemError('EPIPE', 'send');
  }
}
