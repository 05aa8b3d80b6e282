// send-half.ts - the sending direction of a connection: what may be written into the peer's RMBE, and what is known of it there.
//
//   acknowledged        consumed             sent               prepared        counters of bytes, modulo 2^32
//       |                   |                 |                    |
//       | our adapter has the peer's acknowledgement up to here: the send buffer may be reused, and after a link failed
//       |                   | the peer's consumer cursor: its RMBE is free up to here        (cf. TCP snd_una + window)
//       |                   |                 | written and told: our producer cursor        (cf. TCP snd_nxt)
//       |                   |                 |                    | in the send buffer
//
// acknowledged and consumed come on different ways and either may be ahead; both lie behind sent. Allocates nothing after
// construction.
//
// When a link fails, the peer's last word of what it has read may be lost with it. RFC 7609 section 4.6.1 has it repeated; Linux since 5.18
// repeats nothing when it has no bytes of its own to send, and what it told once it tells again only when something more is read. So
// until the peer is heard over another link every message asks for its cursor, and where there may be another, some bytes of its RMBE are
// not used before: a writer that waits for room sends one of them, as TCP probes a zero window (RFC 9293 section 3.8.6.1).

import { CDC_FLAG, CURSOR_IMPOSSIBLE, Cursor } from '../cdc/index.js';
import { MAX_WRITES, type Transmission } from './transmission.js';

/** Bytes of the peer's RMBE that are kept for probes: one for each failure in a row. A cache line, so that writes stay aligned. */
export const HELD_BACK = 64;

/** CDC messages of one connection underway; a link has fewer send slots than that. */
export const MAX_UNDERWAY = 64;

export class SendHalf {
  sent = 0;
  acknowledged = 0;
  consumed = 0;
  /** The peer has been told, or is about to be, that we wait for room. */
  writeBlocked = false;

  readonly #bufferMask: number;
  readonly #bufferSize: number;
  readonly #rmbeSize: number;
  /** Bytes of the peer's RMBE that may be in use. */
  #usable: number;
  /** {@link #usable} as long as no link has failed. */
  readonly #mostUsable: number;
  #unsure = false;
  /** Where `sent` was before a link failed: the peer may have read up to there. Not behind `sent`. */
  #highest = 0;
  /** Producer cursor, at `sent`. */
  readonly cursor: Cursor;
  /** The peer's consumer cursor, at `consumed`. */
  readonly #consumedCursor: Cursor;
  /** Position behind an urgent byte that has not been told yet, and behind the last that has. */
  #urgentAt: number | undefined;
  #urgentTold: number | undefined;

  #sequence = 0;
  #doneSequence = 0;
  /** One entry per CDC underway, oldest first. */
  readonly #underwaySent = new Int32Array(MAX_UNDERWAY);
  readonly #underwaySequence = new Uint16Array(MAX_UNDERWAY);
  #oldest = 0;
  #underway = 0;

  /** Sizes are powers of two: of our send buffer and of the peer's RMBE. `heldBack`: bytes of that kept for probes. */
  constructor(bufferSize: number, rmbeSize: number, heldBack: number) {
    this.#bufferSize = bufferSize;
    this.#bufferMask = bufferSize - 1;
    this.#rmbeSize = rmbeSize;
    this.#usable = this.#mostUsable = rmbeSize - heldBack;
    this.cursor = new Cursor(rmbeSize);
    this.#consumedCursor = new Cursor(rmbeSize);
  }

  /** Bytes that may be written into the peer's RMBE (cf. the usable window of TCP). */
  get window(): number {
    return Math.max(0, this.#usable - ((this.sent - this.consumed) >>> 0));
  }

  /** A link has failed and nothing has come from the peer since: it may have read more than it could tell. */
  get unsure(): boolean {
    return this.#unsure;
  }

  /** The peer has sent its cursors after the failure. */
  heard(): void {
    this.#unsure = false;
    this.#usable = this.#mostUsable;
  }

  /** The link over which the peer sends is lost. What was sent before may be again, and one byte more. */
  unheard(): void {
    const used = (this.#highest - this.consumed) >>> 0;
    this.#usable = Math.min(this.#rmbeSize, Math.max(this.#mostUsable, used + 1));
    this.#unsure = true;
  }

  get underway(): number {
    return this.#underway;
  }

  /** Part of the send buffer that is sent and not acknowledged: 0 to 1. */
  get unacknowledged(): number {
    return ((this.sent - this.acknowledged) >>> 0) / this.#bufferSize;
  }

  /** Sequence number of the last message that is known to have arrived: what a failover validation carries. */
  get doneSequence(): number {
    return this.#doneSequence;
  }

  /** The byte before `prepared` is urgent. A newer urgent byte supersedes an older one, as in TCP. */
  markUrgent(prepared: number): void {
    this.#urgentAt = prepared | 0;
  }

  /** Takes the peer's consumer cursor. Bytes it freed; 0 for an old one; undefined for one that cannot be. */
  consumerCursor(wrap: number, offset: number): number | undefined {
    const distance = this.#consumedCursor.distanceTo(wrap, offset);
    if (distance === CURSOR_IMPOSSIBLE) return undefined;
    if (distance <= 0) return 0;
    if (distance > (this.#highest - this.consumed) >>> 0) return undefined;
    this.#consumedCursor.advance(distance);
    this.consumed = (this.consumed + distance) | 0;
    // After a rewind: what was read need not be written again.
    const skipped = (this.consumed - this.sent) | 0;
    if (skipped > 0) {
      this.sent = this.acknowledged = this.consumed;
      this.cursor.advance(skipped);
    }
    return distance;
  }

  /** Would {@link transmit} write bytes, or has the peer to be told that we are blocked or have urgent data? */
  wants(prepared: number): boolean {
    const waiting = (prepared - this.sent) >>> 0;
    if (waiting === 0) return this.#urgentAt !== undefined;
    return this.window > 0 || !this.writeBlocked;
  }

  /** Adds the writes for what fits and moves `sent`. Returns the producer flags of the CDC message that follows. */
  transmit(prepared: number, out: Transmission): number {
    let waiting = (prepared - this.sent) >>> 0;
    let flags = this.#unsure ? CDC_FLAG.cursorUpdateRequested : 0;
    if (this.#urgentAt !== undefined) {
      // The message that says "present" ends with the urgent byte.
      const toUrgent = (this.#urgentAt - this.sent) | 0;
      if (toUrgent <= this.window) {
        if (toUrgent > 0) waiting = Math.min(waiting, toUrgent);
        // Without it when the byte went out before it was called urgent and others after it.
        if (toUrgent >= 0) flags |= CDC_FLAG.urgentPresent;
        this.#urgentTold = this.#urgentAt;
        this.#urgentAt = undefined;
      } else {
        flags |= CDC_FLAG.urgentPending;
      }
    }
    const { window } = this;
    this.writeBlocked = waiting > 0 && waiting >= window;
    if (this.writeBlocked) flags |= CDC_FLAG.writeBlocked;
    let left = Math.min(waiting, window);
    while (left > 0 && out.writeCount < MAX_WRITES) {
      const from = this.sent & this.#bufferMask;
      const to = this.cursor.offset;
      const length = Math.min(left, this.#bufferSize - from, this.#rmbeSize - to);
      out.addWrite(from, to, length);
      this.sent = (this.sent + length) | 0;
      this.cursor.advance(length);
      left -= length;
    }
    if (((this.sent - this.#highest) | 0) > 0) this.#highest = this.sent;
    return flags;
  }

  /** The number of the CDC message that is about to be posted; it is underway from now on. At most {@link MAX_UNDERWAY}. */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#remember(this.#sequence);
    return this.#sequence;
  }

  /** The number for a failover validation: no new one, but underway like any other message. */
  validationSequence(): number {
    this.#remember(this.#doneSequence);
    return this.#doneSequence;
  }

  #remember(sequence: number): void {
    const at = (this.#oldest + this.#underway++) % MAX_UNDERWAY;
    this.#underwaySent[at] = this.sent;
    this.#underwaySequence[at] = sequence;
  }

  /** The oldest message underway was acknowledged, and so were all writes before it. */
  completed(): void {
    if (this.#underway === 0) return;
    const at = this.#oldest;
    this.#oldest = (at + 1) % MAX_UNDERWAY;
    this.#underway--;
    this.#doneSequence = this.#underwaySequence[at] as number;
    const sent = this.#underwaySent[at] as number;
    if (((sent - this.acknowledged) | 0) > 0) this.acknowledged = sent;
  }

  /**
   * The link is lost and with it every message underway: goes back to what is known to have arrived. What lies behind that is
   * written again, to the same places, before anything new; it fits, because it fitted before.
   */
  rewind(): void {
    this.#underway = 0;
    // What the peer has read has arrived, even if the acknowledgement got lost.
    if (((this.consumed - this.acknowledged) | 0) > 0) this.acknowledged = this.consumed;
    const again = (this.sent - this.acknowledged) >>> 0;
    if (this.#urgentTold !== undefined && ((this.#urgentTold - this.acknowledged) | 0) > 0) this.#urgentAt ??= this.#urgentTold;
    this.sent = this.acknowledged;
    this.cursor.retreat(again);
    this.writeBlocked = false;
    this.unheard();
  }
}
