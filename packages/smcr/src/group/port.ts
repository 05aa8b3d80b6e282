// port.ts - what a link group asks of whoever does its I/O. Calls return at once; what takes time is answered by a call of the
// LinkGroup, never from inside the port's method.

import type { SmcrConnection } from '../connection/index.js';
import type { Link } from './link.js';
import type { SpareEnd } from './link-restorer.js';
import type { Element, Rmb } from './rmbs.js';
import type { Rtoken } from './rtokens.js';

/** A connection in its link group. */
export interface Member {
  readonly connection: SmcrConnection;
  /** Over which we send. Changes when links fail. */
  link: Link;
  /** Over which the peer sends. */
  peerLink: Link;
  /** Where the peer writes. */
  readonly element: Element;
  /** Where we write: an RMB of the peer, the index in it from 1, bytes of one element. */
  readonly peer: { readonly rtoken: Rtoken; readonly index: number; readonly size: number };
}

export interface LinkGroupPort {
  /**
   * Makes the link's queue pair, state INIT, with receives posted, and registers all RMBs and send buffers for it. `link.peer` is
   * known if the peer began. Answer: linkCreated, or linkFailed when there is no device for it.
   */
  createLink(link: Link): void;
  /** To RTR, with `link.peer`. Answer: linkConnected or linkFailed. */
  connectLink(link: Link): void;
  /** To RTS. Answer: linkActivated or linkFailed. */
  activateLink(link: Link): void;
  /**
   * To ERROR, and away; until it is in ERROR nothing is transmitted on other links either. With `flush` only when what was sent is acknowledged, or after 2 s. Receives that completed before are still
   * given to `receivedCdc`; completions of connections are not told any more. No answer.
   */
  destroyLink(link: Link, flush: boolean): void;
  /** Allocates an RMB and registers it for every link that is created. Answer: rmbRegistered, unless it was released before. */
  registerRmb(rmb: Rmb): void;
  /** Deregisters and frees it. No answer. */
  releaseRmb(rmb: Rmb): void;
  /** SEND of an LLC message, or of a CDC message of no connection of this side; in order, after a wait if the link has no slot. The bytes are the port's from now on. */
  send(link: Link, message: Uint8Array): void;
  /** Posts what the connection has pending on its link, as slots allow, now and whenever slots get free. */
  transmit(member: Member): void;
  /** Ends of this side, on ports that work, which no link of the group uses. */
  spareEnds(): readonly SpareEnd[];
  /** Gives everything that links but this one have received already to `receivedCdc` and `receivedLlc`, before it returns. */
  drain(except: Link): void;

  /** The first link can be named in CLC: QP there (server), QP in RTR (client). */
  reachable(link: Link): void;
  /** The first link is confirmed: connections may be used. */
  established(): void;
  /** The first contact failed; `diagnosis` goes into the Decline. The group has ended. */
  failed(diagnosis: number): void;
  /** NEWS bits of one connection. */
  news(member: Member, bits: number): void;
  /** Finished: its send buffer is free, its element was given back. */
  removed(member: Member): void;
  /** The group is over. Its connections are lost, its links being destroyed. */
  ended(reason: number): void;
}
