// transmission.ts - what a connection wants posted next: RDMA WRITEs into the peer's element, then one CDC message, on one queue
// pair in this order. Reliable connections keep the order, so the data is there when the message arrives.

import { type CdcMessage, emptyCdc } from '../cdc/message.js';

/** Where the send buffer wraps, where the element wraps: three pieces at most. */
export const MAX_WRITES = 3;

/** Filled again and again by {@link SmcrConnection.transmit}; allocates nothing. */
export class Transmission {
  writeCount = 0;
  /** Per write: offset in the send buffer, offset in the peer's RMBE, bytes. */
  readonly writes = new Int32Array(3 * MAX_WRITES);
  readonly message: CdcMessage = emptyCdc();

  addWrite(from: number, to: number, length: number): void {
    this.writes[3 * this.writeCount] = from;
    this.writes[3 * this.writeCount + 1] = to;
    this.writes[3 * this.writeCount + 2] = length;
    this.writeCount++;
  }
}
