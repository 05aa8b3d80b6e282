// channel.ts - what a backend hands to a socket once a connection runs over a ring.

import type { RingConsumer } from '../ring/consumer.js';
import type { RingProducer } from '../ring/producer.js';
import type { BusyPoll } from '../options.js';
import type { TransportName } from './decline.js';

/** What the socket (or whoever owns the connection) is told by its backend. Called on the loop, never re-entered. */
export interface ChannelSink {
  /** The peer published bytes, released room it was asked for, or changed its connection state. */
  onNews(): void;
  /**
   * Nothing will be published or released any more. `broken`: this side gave the peer up, so the connection is reset. Else
   * the peer's environment is gone, or it gave us up: which of the two, its TCP connection tells.
   */
  onPeerLost(broken: boolean): void;
}

/** Counters of what waiting cost. */
export interface ChannelCounters {
  /** Doorbells rung because the peer slept, and notifications that needed none. */
  doorbells: number;
  notifications: number;
  /** RDMA WRITEs posted; SMC-R only. */
  rdmaWrites?: number;
  /** Links of the connection's link group that work now; SMC-R only. */
  links?: number;
}

/** One connection over a pair of rings: ours, which the peer writes, and the peer's, which we write. */
export interface Channel {
  readonly transport: TransportName;
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  readonly counters: ChannelCounters;
  /** Changes with every turn of the event loop and every dispatch of news. Costs a plain read. */
  readonly turn: number;
  /** While news are dispatched: is this loop polling anyway, on a processor of its own? */
  readonly hot: boolean;
  /** While news are dispatched: did the loop have immediates to run when the dispatch began? Absent: nobody can tell. */
  readonly immediates?: boolean;
  sink: ChannelSink | undefined;
  /**
   * Tells the peer that there is something to see on this connection. Wakes it only if it sleeps. Allocates nothing.
   * `published`: that is nothing but what `tx.publish` has made visible just now.
   */
  notify(published?: boolean): void;
  /** Asks for one call of `sink.onNews` from the loop, soon: more is to be done than fits one turn. */
  again(): void;
  setBusyPoll(mode: BusyPoll): void;
  /**
   * The TCP connection has ended before the peer has. Absent: that is final, who closes it is gone. Where the two ends may be on
   * different hosts it is a suspicion: this call has it looked into, and the connection goes on until `sink.onPeerLost`. `ended`: by
   * FIN, so that the peer's end of it was closed, or shut down. Whoever forgets connections on the way sends RST, or nothing.
   */
  readonly suspect?: (ended: boolean) => void;
  /** Why the connection was lost, where that was not the peer's doing: the cause of the error that the program gets. */
  readonly lost?: Error | undefined;
  /** What the peer wrote that cannot be, where the transport knows better than a look at the ring tells. */
  readonly violation?: string | undefined;
  /** This side is done with both rings. Their memory is reused when the peer is done too. Idempotent. */
  close(): void;
}
