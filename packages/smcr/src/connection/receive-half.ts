// receive-half.ts - the receiving direction of a connection: what the peer has written into our RMBE, and when it is told what we
// have read.
//
//   reported          consumed            produced             counters of bytes, modulo 2^32
//      | told to the peer
//      |                 | read by the application             (cf. TCP rcv_nxt of what was read)
//      |                 |                   | written by the peer, as its producer cursor says
//
// A consumer cursor goes with every CDC message. One of its own is worth it (RFC 7609 section 4.5.1) when the peer has less than
// half of the RMBE left, as far as it knows, and a tenth of it was read; or when the peer waits for room. So ping-pong needs none. Or when
// an urgent byte was read: Linux sends nothing behind one until it is told that everything was read.
// Allocates nothing after construction.

import { CDC_FLAG, CURSOR_IMPOSSIBLE, Cursor } from '../cdc/index.js';

/** Linux reports no less: half the smallest socket buffer. */
const SMALLEST_REPORT = 2304;

export class ReceiveHalf {
  produced = 0;
  reported = 0;
  /** Sequence number of the newest message, 0 before the first. */
  sequence = 0;
  /** Position behind the newest urgent byte; undefined when there was none. */
  urgentAt: number | undefined;
  /** Producer flags of the newest message. */
  flags = 0;

  readonly #size: number;
  readonly #reportFrom: number;
  readonly #producedCursor: Cursor;
  /** Consumer cursor, at `reported`. */
  readonly cursor: Cursor;

  /** A power of two: of our RMBE. */
  constructor(size: number) {
    this.#size = size;
    this.#reportFrom = Math.max(Math.floor(size / 10), SMALLEST_REPORT);
    this.#producedCursor = new Cursor(size);
    this.cursor = new Cursor(size);
  }

  /** Takes the peer's producer cursor. Bytes that are new; 0 for an old one; undefined for one that cannot be. */
  producerCursor(wrap: number, offset: number): number | undefined {
    const distance = this.#producedCursor.distanceTo(wrap, offset);
    if (distance === CURSOR_IMPOSSIBLE) return undefined;
    if (distance <= 0) return 0;
    // The peer may only use what it was told to be free.
    if (((this.produced - this.reported) >>> 0) + distance > this.#size) return undefined;
    this.#producedCursor.advance(distance);
    this.produced = (this.produced + distance) | 0;
    return distance;
  }

  /** Does this producer cursor tell of bytes that are new? One that cannot be does not. */
  isNew(wrap: number, offset: number): boolean {
    const distance = this.#producedCursor.distanceTo(wrap, offset);
    return distance !== CURSOR_IMPOSSIBLE && distance > 0;
  }

  /** Is a CDC message due for the consumer cursor alone? */
  wants(consumed: number): boolean {
    const read = (consumed - this.reported) >>> 0;
    if ((this.flags & CDC_FLAG.cursorUpdateRequested) !== 0) return true;
    if (read === 0) return false;
    if (this.#urgentIsRead(consumed)) return true;
    const blocked = (this.flags & CDC_FLAG.writeBlocked) !== 0;
    if (read > this.#reportFrom) {
      const peerKnowsFree = this.#size - ((this.produced - this.reported) >>> 0);
      return blocked || peerKnowsFree <= this.#size / 2;
    }
    return blocked && consumed === this.produced;
  }

  /** Does the peer know of room, so that nothing it has to send waits? */
  get roomTold(): boolean {
    return (this.produced - this.reported) >>> 0 < this.#size;
  }

  #urgentIsRead(consumed: number): boolean {
    const { urgentAt } = this;
    return urgentAt !== undefined && ((urgentAt - this.reported) | 0) > 0 && ((consumed - urgentAt) | 0) >= 0;
  }

  /** A CDC message goes out: moves {@link cursor} to what was read. */
  report(consumed: number): void {
    this.cursor.advance((consumed - this.reported) >>> 0);
    this.reported = consumed;
    this.flags &= ~CDC_FLAG.cursorUpdateRequested;
  }
}
