// connection-pair.ts - two ends of a connection and a wire between them that does nothing by itself: a test says what arrives,
// what is acknowledged and when the link fails.

import { CONN_STATE, HEADER_BYTES, initialise, type RingMemory, RingConsumer, RingProducer } from '@smcjs/core/backend';
import { CDC_FLAG, CDC_LENGTH, emptyCdc, readCdc, writeCdc } from '../src/cdc/index.js';
import { NEWS, SmcrConnection, Transmission } from '../src/connection/index.js';

function memory(capacity: number): RingMemory {
  const ring = { words: new Int32Array(HEADER_BYTES / 4), data: Buffer.alloc(capacity), capacity, mirrored: false };
  initialise(ring);
  return ring;
}

/** One posted transmission: bytes as they were, where they go, and the message. */
interface Posted {
  readonly writes: { readonly to: number; readonly bytes: Buffer }[];
  readonly cdc: Uint8Array;
  readonly transmission: number;
}

export class End {
  readonly connection: SmcrConnection;
  readonly tx: RingProducer;
  readonly rx: RingConsumer;
  readonly txMemory: RingMemory;
  readonly rxMemory: RingMemory;
  /** Posted and not arrived; arrived and not acknowledged. */
  readonly flying: Posted[] = [];
  unacknowledged = 0;
  /** Arrived at this end's adapter, not yet looked at. */
  readonly inbox: Uint8Array[] = [];
  news = 0;
  sentMessages = 0;
  readonly #out = new Transmission();
  #count = 0;

  constructor(tokens: readonly [own: number, peer: number], sizes: { rmbe: number; peerRmbe: number; buffer?: number; mayMove?: boolean }) {
    this.txMemory = memory(sizes.buffer ?? sizes.peerRmbe);
    this.rxMemory = memory(sizes.rmbe);
    this.tx = new RingProducer(this.txMemory);
    this.rx = new RingConsumer(this.rxMemory);
    const [token, peerToken] = tokens;
    const { peerRmbe: peerRmbeSize, mayMove = false } = sizes;
    this.connection = new SmcrConnection({ token, peerToken, tx: this.txMemory, rx: this.rxMemory, peerRmbeSize, mayMove });
  }

  /** Posts what is pending, at most `limit` messages. */
  transmit(limit = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (; count < limit && this.connection.pending(); count++) {
      const out = this.#out;
      this.connection.transmit(out);
      const writes = Array.from({ length: out.writeCount }, (_, i) => {
        const [from, to, length] = out.writes.subarray(3 * i) as unknown as [number, number, number];
        return { to, bytes: Buffer.from(this.txMemory.data.subarray(from, from + length)) };
      });
      const cdc = new Uint8Array(CDC_LENGTH);
      writeCdc(cdc, 0, out.message);
      this.flying.push({ writes, cdc, transmission: this.#count++ });
      this.sentMessages++;
    }
    return count;
  }

  /** The oldest transmission that flies arrives at the peer's adapter. */
  arrive(peer: End): void {
    const posted = this.flying.shift();
    if (posted === undefined) return;
    for (const { to, bytes } of posted.writes) {
      if (to + bytes.length > peer.rxMemory.capacity) throw new Error('a write outside the element');
      bytes.copy(peer.rxMemory.data, to);
    }
    peer.inbox.push(posted.cdc);
    this.unacknowledged++;
  }

  acknowledge(): void {
    if (this.unacknowledged === 0) return;
    this.unacknowledged--;
    this.news |= this.connection.completed();
  }

  look(): void {
    const cdc = this.inbox.shift();
    if (cdc === undefined) return;
    const message = emptyCdc();
    if (!readCdc(cdc, 0, cdc.length, message) || message.token !== this.connection.token) throw new Error('not for this end');
    // As the link group does: nothing of a link that failed is left to look at, see failover().
    if ((message.flags & CDC_FLAG.failoverValidation) === 0) this.connection.send.heard();
    this.news |= this.connection.receive(message);
    if ((this.news & (NEWS.violation | NEWS.gap)) !== 0) throw new Error(`news ${this.news}`);
  }

  /** The link fails: what flies is lost, what arrived is in the inbox, acknowledgements that are underway are lost. */
  failover(): void {
    this.flying.length = 0;
    this.unacknowledged = 0;
    this.news |= this.connection.failover();
  }

  /** Puts as much as fits into the tx ring. */
  write(bytes: Uint8Array): number {
    const length = this.tx.write(bytes);
    this.tx.publish();
    return length;
  }

  read(limit = Number.POSITIVE_INFINITY): Buffer {
    const length = Math.min(this.rx.available(), limit);
    if (this.rx.violated) throw new Error('the rx ring is broken');
    const out = Buffer.alloc(length);
    this.rx.copy(out, 0, length);
    this.rx.advance(length);
    this.rx.publish();
    return out;
  }

  end(): void {
    this.tx.setState(CONN_STATE.sendingDone);
  }

  close(abnormal = false): void {
    this.tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (abnormal ? CONN_STATE.abnormal : 0));
  }
}

export function pair(rmbes: readonly [number, number] = [16384, 16384], buffer?: number): [End, End] {
  const sized = buffer === undefined ? {} : { buffer };
  return [
    new End([1, 2], { rmbe: rmbes[0], peerRmbe: rmbes[1], ...sized }),
    new End([2, 1], { rmbe: rmbes[1], peerRmbe: rmbes[0], ...sized }),
  ];
}

/** Everything that can happen without time or application happens. */
export function settle(a: End, b: End): void {
  for (let quiet = false; !quiet; ) {
    quiet = true;
    for (const [end, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      if (end.transmit() > 0) quiet = false;
      while (end.flying.length > 0) end.arrive(peer);
      while (end.unacknowledged > 0) end.acknowledge();
      while (peer.inbox.length > 0) peer.look();
    }
  }
}
