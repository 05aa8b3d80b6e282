// backend.ts - what a backend implements to be chosen at connect time. Bytes of CLC pass through the socket layer;
// everything else about reaching the peer is the backend's.

import type { Channel } from './channel.js';
import type { Decline, TransportName } from './decline.js';
import type { ResolvedOptions } from '../options.js';
import type { ClcAcceptConfirm, ClcProposal } from '../clc/messages.js';

/** An IP endpoint. `address` is numeric; v4-mapped IPv6 is folded to IPv4 by whoever makes one. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** What a server listens on. `dual`: an IPv6 wildcard that takes IPv4 too. */
export interface ListenEndpoint extends Endpoint {
  readonly dual: boolean;
}

/** A listener's entry in the backend's registry; closing it makes new clients see a plain listener. */
export interface Registration {
  close(): void;
}

export interface Backend {
  readonly name: TransportName;
  /**
   * Why this backend cannot be used in this process; undefined when it can. Cheap after the first call. With `options`: by connections
   * that have them.
   */
  probe(options?: ResolvedOptions): Decline | undefined;
  /** Tells clients that this endpoint speaks the transport. `fd`: its listening socket; -1 when the platform does not tell. */
  register(endpoint: ListenEndpoint, options: ResolvedOptions, fd: number): Registration | Decline;
  /** Quick negative: false when nobody on this port (or, with `to`, at this endpoint) can be meant. */
  mayListen(port: number, options: ResolvedOptions, to?: Endpoint): boolean;
  /**
   * Client, before TCP connects: an attempt when someone at `to` speaks the transport, undefined when nobody does.
   * Its descriptor (if any) must be used for the TCP connection.
   */
  attempt(to: Endpoint, options: ResolvedOptions): ClientAttempt | undefined;
  /** Server, after TCP accepted: an offer when the other end of this connection waits for one and it can be made. */
  offer(connection: AcceptedConnection, options: ResolvedOptions): ServerOffer | Decline | undefined;
  /** The transport is agreed by CLC alone: see {@link ClcTransport}. Such a backend makes no attempts and no offers. */
  readonly clc?: ClcTransport;
}

/** An accepted TCP connection, as far as a backend needs to know it. */
export interface AcceptedConnection {
  /** Descriptor of the TCP socket; stays the socket's. -1 when the platform does not tell. */
  readonly fd: number;
  readonly local: Endpoint | undefined;
  readonly remote: Endpoint | undefined;
}

/** The client's half of finding each other. */
export interface ClientAttempt {
  /** A TCP descriptor whose source address is bound already; it becomes the socket's. Undefined: make one as usual. */
  readonly fd: number | undefined;
  /** connect() has been called, so the source endpoint is known, and the server cannot have accepted yet. */
  connecting(source: Endpoint): void;
  /** After TCP connected. Calls back at most once. */
  wait(found: (offer: ClientOffer | Decline | undefined) => void): void;
  /**
   * No longer interested: names are removed, an offer that still comes is refused. After a time-out the listener is not
   * believed for a while. Idempotent; `found` is called with undefined if it has not been.
   */
  abandon(why: 'timeout' | 'other'): void;
}

/** What both sides' offers can do. */
interface OfferBase {
  /** The word of transport/decision.ts. */
  readonly decisionWords: Int32Array;
  /** The connection will not use the ring: everything set aside for it is given back. Idempotent. */
  release(): void;
}

/** The server has offered; the client has claimed the offer and sends its Proposal. */
export interface ClientOffer extends OfferBase {
  readonly proposal: ClcProposal;
  /** Checks the server's Accept and maps its ring. The Confirm to send, or why not. */
  accepted(accept: ClcAcceptConfirm): ClcAcceptConfirm | Decline;
  /** The channel of the connection, after the decision fell for the ring. */
  channel(): Channel;
}

export interface ServerOffer extends OfferBase {
  /** Calls back once: true when the client has answered on the backend's own path, false when it refused or is gone. */
  onAnswer(answered: (claimed: boolean) => void): void;
  /** Checks the client's Proposal. The Accept to send, or why not. */
  proposed(proposal: ClcProposal): ClcAcceptConfirm | Decline;
  /** Checks the client's Confirm: undefined when all is well. */
  confirmed(confirm: ClcAcceptConfirm): Decline | undefined;
  channel(): Channel;
}

/** The two ends of an established TCP connection. */
export interface TcpEnds {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/**
 * A transport that is agreed by CLC messages on the TCP connection and by messages of its own behind them, without any memory
 * shared before (SMC-R; RFC 7609 sections 3.1 and 3.5, appendix C). All calls return at once; callbacks come once, from the loop or within the
 * call, and may come after `release`, which whoever called ignores.
 */
export interface ClcTransport {
  /** Client, after TCP connected to a server that speaks CLC. A Decline: nothing has been sent, the connection is plain. */
  client(ends: TcpEnds, options: ResolvedOptions, ready: (client: ClcClient | Decline) => void): void;
  /** Server, when a Proposal has come. */
  server(ends: TcpEnds, options: ResolvedOptions): ClcServer;
  /** How the two ends learn of each other without a word of the user's, where there is such a way. */
  readonly discovery?: ClcDiscovery | undefined;
}

/**
 * By an option that TCP exchanges while it connects (RFC 7609 section 3.1). Where both ends have it both have to speak CLC, even if only
 * to decline; where one has not, it must not be sent any. Nothing here throws.
 */
export interface ClcDiscovery {
  /** Is asking possible now, and of use for connections to this address? Cheap: said of every connect. */
  mayAsk(to: Endpoint): boolean;
  /** Client: a TCP descriptor that asks when it connects; undefined when none can be had, and the connection does not ask. */
  ask(to: Endpoint): number | undefined;
  /** Server: a bound socket that does not listen yet is to answer clients that ask. */
  answer(fd: number): void;
  /** Does this listening socket answer? Undefined: it does. */
  answers(fd: number): Decline | undefined;
  /** Have both ends of this established connection the option? */
  agreed(fd: number): boolean;
}

/** Why a handshake by CLC cannot go on. */
export interface ClcRefusal {
  readonly why: Decline;
  /**
   * decline: the peer is told, and the connection is plain. out-of-sync: the same, and the peer is to end the link group.
   * reset: this side has sent its last message and may decline no more.
   */
  readonly how: 'decline' | 'out-of-sync' | 'reset';
}

export interface ClcClient {
  readonly proposal: ClcProposal;
  /** Checks the Accept and gets everything ready: the Confirm to send, or why not. */
  accepted(accept: ClcAcceptConfirm, done: (result: ClcAcceptConfirm | ClcRefusal) => void): void;
  /** The Confirm has been sent: the channel when the link is known to work. */
  confirmed(done: (result: Channel | ClcRefusal) => void): void;
  /** The connection does not use it: everything is given back. Not called after a channel was had. Idempotent. */
  release(): void;
}

export interface ClcServer {
  /** Checks the Proposal and gets everything ready: the Accept to send, or why not. */
  proposed(proposal: ClcProposal, done: (result: ClcAcceptConfirm | ClcRefusal) => void): void;
  /** Checks the Confirm: the channel when the link is known to work. */
  confirmed(confirm: ClcAcceptConfirm, done: (result: Channel | ClcRefusal) => void): void;
  /** The client has declined. `outOfSync`: it does not know the link group, which therefore ends. Then `release`. */
  declined(outOfSync: boolean): void;
  release(): void;
}
