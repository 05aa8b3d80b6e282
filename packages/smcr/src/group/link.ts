// link.ts - one link: a queue pair here, one at the peer, and what is known of both. Its states and its keepalive; no I/O.
//
//   creating -- QP made, in INIT --> created -- RTR --> connected -- RTS --> ready -- CONFIRM LINK --> active
//   any -- QP error, no answer to TEST LINK, DELETE LINK --> down
//
// A link that received nothing for 30 s is asked by TEST LINK; no answer within 2 s, and it is down (RFC 7609 section 4.5.3).

import type { MtuCode } from '../verbs-provider.js';
import { LLC_WAIT } from './llc-flows.js';

/** How one end of a link is reached: what CLC and ADD LINK say of it. */
export interface LinkEnd {
  /** 16 bytes. */
  readonly gid: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** 24 bits. */
  readonly qpNumber: number;
  /** Initial PSN, 24 bits. */
  readonly psn: number;
  readonly mtu: MtuCode;
}

export type LinkState = 'creating' | 'created' | 'connected' | 'ready' | 'active' | 'down';

/** Without any receive for so long a link is tested, milliseconds: `net.smc.smcr_testlink_time` of Linux. */
export const TEST_LINK_TIME = 30_000;

export class Link {
  /** Given by the server: 1, 2, ... never 0. A client learns that of the first link by CONFIRM LINK. */
  number: number;
  /** Our own name for it, 32 bits. */
  readonly uid: number;
  peerUid = 0;
  state: LinkState = 'creating';
  own: LinkEnd | undefined;
  peer: LinkEnd | undefined;
  /** The peers share a subnet: hop limit 1. */
  direct = true;
  /** Connections that use it. */
  connections = 0;
  /** Both ends are on the devices of another link: no protection but against a broken queue pair. */
  asymmetric = false;

  #lastReceive = 0;
  /** Since the last tick: a message of a connection does not look at the clock. */
  #touched = false;
  #testedAt: number | undefined;
  #suspected = false;

  constructor(number: number, uid: number) {
    this.number = number;
    this.uid = uid;
  }

  /** Messages can be sent: RTS. */
  get sendable(): boolean {
    return this.state === 'ready' || this.state === 'active';
  }

  /** Anything arrived on it. */
  heard(now: number): void {
    this.#lastReceive = now;
  }

  /** A message of a connection arrived on it: as if at the next {@link tick}. */
  touch(): void {
    this.#touched = true;
  }

  /** The answer to TEST LINK, or any other proof of life. */
  answered(now: number): void {
    this.#testedAt = undefined;
    this.#lastReceive = now;
  }

  /**
   * A doubt, such as a TCP connection that ended without a close: test at the next tick, not after 30 s. What is still received
   * meanwhile may be older than the doubt, so it does not settle it.
   */
  suspect(): void {
    this.#suspected = true;
  }

  /** What time asks for: send TEST LINK, give the link up, or nothing. */
  tick(now: number): 'test' | 'dead' | undefined {
    if (this.#touched) this.#lastReceive = now;
    this.#touched = false;
    if (this.state !== 'active') return undefined;
    if (this.#testedAt !== undefined) {
      // Something else that arrived after the request is no answer, as in Linux: a peer that lost the request must not look alive.
      return now >= this.#testedAt + LLC_WAIT ? 'dead' : undefined;
    }
    if (!this.#suspected && now < this.#lastReceive + TEST_LINK_TIME) return undefined;
    this.#suspected = false;
    this.#testedAt = now;
    return 'test';
  }

  get deadline(): number {
    if (this.state !== 'active') return Number.POSITIVE_INFINITY;
    if (this.#testedAt !== undefined) return this.#testedAt + LLC_WAIT;
    return this.#suspected ? 0 : this.#lastReceive + TEST_LINK_TIME;
  }
}
