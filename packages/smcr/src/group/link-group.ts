// link-group.ts - a link group: the links between two peers, the connections that use them, and what both ends tell each other by
// LLC (RFC 7609 sections 3.5 and 4.6). No I/O and no clock: events, messages and time in, calls of its port out.
//
// The parts: first-contact.ts, add-link.ts, delete-link.ts, rkey-flows.ts do one exchange each; failover.ts moves connections. They
// share the state here. One exchange at a time waits for an answer (`expect`); llc-flows.ts says whose turn it is.

import { CDC_FLAG, type CdcMessage } from '../cdc/index.js';
import { type ConnectionOptions, SmcrConnection } from '../connection/index.js';
import { DELETE_REASON, decodeLlc, encodeLlc, LLC_LENGTH, type LlcMessage, type LlcVersion } from '../llc/index.js';
import { dispatch } from './dispatch.js';
import { Doubts } from './doubts.js';
import { EarlyMessages } from './early-messages.js';
import { ElementSupply } from './elements.js';
import { FIRST_CONTACT_FAILURE, firstContact } from './first-contact.js';
import { HeldMessages } from './held-messages.js';
import { Link, type LinkEnd } from './link.js';
import { linkDown } from './link-down.js';
import { LinkRestorer } from './link-restorer.js';
import { LlcFlows } from './llc-flows.js';
import { heardAgain, receivedWhileMoving, releaseHeld } from './moved-messages.js';
import type { LinkGroupPort, Member } from './port.js';
import type { Element, Rkey, Rmb } from './rmbs.js';
import { type Rtoken, Rtokens } from './rtokens.js';
import { testLinks } from './test-link.js';

export interface LinkGroupOptions {
  readonly role: 'client' | 'server';
  readonly version: LlcVersion;
  /** 8 bytes: how the peer names itself in CLC. */
  readonly peerId: Uint8Array;
  /** Agreed in CLC. */
  readonly maxConns: number;
  readonly maxLinks: number;
  /** Any 32-bit number, different for every group of this peer: link user ids and tokens start from it. */
  readonly seed: number;
  readonly port: LinkGroupPort;
}

/** Without a connection a group is kept for so long, milliseconds. The client waits longer, so the server ends it. */
export const IDLE_TIME = { server: 600_000, client: 610_000 } as const;

export type GroupState = 'founding' | 'active' | 'ended';

/** An answer that an exchange waits for. */
interface Expectation {
  readonly type: LlcMessage['type'];
  /** The link it must come on, if that matters: its failure ends the wait. */
  readonly link: Link;
  readonly deadline: number;
  readonly resume: (message: LlcMessage | undefined) => void;
}

/** Tokens of ours have 31 bits: more would be objects on the heap, looked up for every message. */
const MOST_TOKEN = 0x7fffffff;

export class LinkGroup {
  readonly role: 'client' | 'server';
  readonly version: LlcVersion;
  readonly peerId: Uint8Array;
  readonly maxConns: number;
  readonly maxLinks: number;
  readonly port: LinkGroupPort;
  readonly flows = new LlcFlows();
  readonly doubts = new Doubts();
  readonly elements = new ElementSupply(this);
  readonly held = new HeldMessages();
  readonly rtokens = new Rtokens();
  readonly links: Link[] = [];
  /** By our token. */
  readonly members = new Map<number, Member>();
  state: GroupState = 'founding';
  /** A Decline said that the two sides disagree: no new connection. */
  outOfSync = false;
  now = 0;
  /** What a CONFIRM RKEY CONTINUE goes on with. */
  lastConfirmed: Rtoken | undefined;

  readonly #restorer = new LinkRestorer();
  readonly #early = new EarlyMessages();
  #expectation: Expectation | undefined;
  /** Steps of links that the port is asked for: what happens then. */
  readonly #steps = new Map<Link, (done: boolean) => void>();
  #nextToken: number;
  #nextLinkNumber = 1;
  #idleSince: number | undefined;

  constructor(options: LinkGroupOptions) {
    this.role = options.role;
    this.version = options.version;
    this.peerId = options.peerId;
    this.maxConns = options.maxConns;
    this.maxLinks = options.maxLinks;
    this.port = options.port;
    this.#nextToken = options.seed & MOST_TOKEN;
  }

  /** First contact: makes the first link; for a client `peer` is what the Accept says. Then `port.reachable`. */
  start(now: number, peer?: LinkEnd): void {
    this.now = now;
    firstContact(this, peer);
  }

  /** Server, first contact: the Confirm has come. Then `port.established` or `port.failed`. */
  confirmed(peer: LinkEnd, now: number): void {
    this.now = now;
    const [link] = this.links;
    if (link === undefined || this.state !== 'founding') return;
    link.peer = peer;
    this.resumeFounding?.();
  }

  /** Set by first-contact.ts while it waits for {@link confirmed}. */
  resumeFounding: (() => void) | undefined;

  /** Has it room for one more connection? */
  get hasRoom(): boolean {
    return this.state === 'active' && !this.outOfSync && this.members.size + this.elements.promised < this.maxConns;
  }

  /** The active link for a new connection: the one with the fewest. */
  get bestLink(): Link | undefined {
    return this.links
      .filter(({ state }) => state === 'active')
      .reduce<Link | undefined>((best, link) => (best === undefined || link.connections < best.connections ? link : best), undefined);
  }

  /** The link whose peer end has this queue pair: what an Accept without first contact names. Adapters may have the same numbers. */
  linkOf(peerGid: Uint8Array, peerQpNumber: number): Link | undefined {
    return this.links.find(
      ({ state, peer }) => state === 'active' && peer?.qpNumber === peerQpNumber && Buffer.compare(peer.gid, peerGid) === 0,
    );
  }

  /** A token no connection of this group has; not 0. */
  newToken(): number {
    do this.#nextToken = (this.#nextToken + 1) & MOST_TOKEN;
    while (this.#nextToken === 0 || this.members.has(this.#nextToken));
    return this.#nextToken;
  }

  /** An Accept tells the peer of this token: its messages may come before its Confirm. */
  announce(token: number): void {
    this.#early.expect(token);
  }

  /** Is its Confirm still expected? */
  isAnnounced(token: number): boolean {
    return this.#early.expects(token);
  }

  /** The connection of an announced token comes to nothing. */
  forget(token: number): void {
    this.#early.take(token);
  }

  /** The connection can send and receive from now on: it takes what has come for it before. */
  welcome(member: Member, now: number): void {
    this.now = now;
    const message = this.#early.take(member.connection.token);
    if (message !== undefined) this.tell(member, member.connection.receive(message));
  }

  /** The peer's RMB of a connection as its Accept or Confirm names it. Undefined when there are too many. */
  rtoken(link: Link, rkey: number, address: bigint): Rtoken | undefined {
    return this.rtokens.add(link, rkey, address);
  }

  /** A connection with its element and the peer's. When its owner is ready for news: {@link welcome}. */
  add(options: Omit<ConnectionOptions, 'mayMove'>, link: Link, element: Element, peer: Member['peer']): Member {
    const member: Member = {
      connection: new SmcrConnection({ ...options, mayMove: this.maxLinks > 1 }),
      link,
      peerLink: link,
      element,
      peer,
    };
    this.elements.promised--;
    this.members.set(options.token, member);
    link.connections++;
    this.#idleSince = undefined;
    return member;
  }

  /** `rkeys`: those that all RMBs have on this link. */
  linkCreated(link: Link, own: LinkEnd, rkeys: ReadonlyMap<Rmb, Rkey>): void {
    link.own = own;
    for (const [rmb, rkey] of rkeys) rmb.rkeys.set(link, rkey);
    this.#advance(link, 'created', true);
  }

  linkConnected(link: Link): void {
    this.#advance(link, 'connected', true);
  }

  linkActivated(link: Link): void {
    this.#advance(link, 'ready', true);
  }

  /** The port could not do what it was asked for, or the link broke: queue pair in error, port down, device gone. */
  linkFailed(link: Link, now: number): void {
    this.now = now;
    if (link.state === 'down' || this.state === 'ended') return;
    if (this.#steps.has(link)) this.#advance(link, 'down', false);
    else linkDown(this, link);
  }

  /** A port of this side works again: a link that it lost can be had again. */
  pathUp(now: number): void {
    this.#restorer.pathUp(now);
  }

  /** `rkeys` of all links that are created; undefined when there is no memory. */
  rmbRegistered(rmb: Rmb, rkeys: ReadonlyMap<Link, Rkey> | undefined, now: number): void {
    this.now = now;
    this.elements.registered(rmb, rkeys);
  }

  /** A receive with CDC on `link`. The message is read into an object of the caller's; the time is asked for when it matters. */
  receivedCdc(link: Link, message: CdcMessage, now: () => number): void {
    link.touch();
    const member = this.members.get(message.token);
    if (member === undefined) return this.#early.keep(message);
    if (member.connection.send.unsure) heardAgain(member, link, message);
    if ((message.flags & CDC_FLAG.failoverValidation) !== 0 || this.held.any || link !== member.peerLink) {
      this.now = now();
      receivedWhileMoving(this, member, link, message);
    } else {
      // Of an end something may follow that has its time.
      if (message.state !== 0) this.now = now();
      this.tell(member, member.connection.receive(message));
    }
  }

  /** A receive with anything else: `bytes` is a private copy. `answered`: a TEST LINK that has been sent back already. */
  receivedLlc(link: Link, bytes: Uint8Array, now: number, answered = false): void {
    this.now = now;
    link.heard(now);
    // Shorter than any message: ignored, as Linux does.
    if (this.state === 'ended' || link.state === 'down' || bytes.length < LLC_LENGTH) return;
    let message: ReturnType<typeof decodeLlc>;
    try {
      message = decodeLlc(bytes);
    } catch {
      return this.end(DELETE_REASON.protocolViolation);
    }
    dispatch(this, link, message, answered);
  }

  /** The oldest CDC message of this connection was acknowledged. */
  completed(member: Member): void {
    this.tell(member, member.connection.completed());
  }

  /** Time goes by. Call it at {@link deadline}, or more often. */
  tick(now: number): void {
    this.now = now;
    if (this.state === 'ended') return;
    const { role } = this;
    this.flows.tick(now);
    if (this.#expectation !== undefined && now >= this.#expectation.deadline) this.resume(undefined);
    testLinks(this);
    for (const member of [...this.members.values()]) {
      releaseHeld(this, member);
      this.tell(member, member.connection.tick(now));
    }
    if (this.state === 'active') this.#restorer.tick(this);
    if (this.state === 'active' && this.members.size === 0 && this.elements.promised === 0) {
      this.#idleSince ??= now;
      if (now >= this.#idleSince + IDLE_TIME[role]) this.end(DELETE_REASON.programEnded, true);
    }
  }

  get deadline(): number {
    if (this.state === 'ended') return Number.POSITIVE_INFINITY;
    let least = Math.min(this.#restorer.deadline, this.flows.deadline, this.doubts.deadline);
    least = Math.min(least, this.#expectation?.deadline ?? Number.POSITIVE_INFINITY);
    for (const link of this.links) least = Math.min(least, link.deadline);
    for (const { connection } of this.members.values()) least = Math.min(least, connection.deadline);
    if (this.#idleSince !== undefined) least = Math.min(least, this.#idleSince + IDLE_TIME[this.role]);
    return least;
  }

  /** Ends the group: connections are lost, the peer is told by DELETE LINK, links are destroyed. Idempotent. */
  end(reason: number, orderly = false): void {
    if (this.state === 'founding') return this.abandon(FIRST_CONTACT_FAILURE.internal);
    if (this.state === 'ended') return;
    const via = this.links.find(({ sendable }) => sendable);
    if (via !== undefined) {
      this.send(via, { type: 'delete-link', version: this.version, response: false, linkNumber: 0, all: true, orderly, reason });
    }
    this.#over(via);
    this.port.ended(reason);
  }

  /** The first contact has failed. */
  abandon(diagnosis: number): void {
    if (this.state !== 'founding') return;
    this.#over(undefined);
    this.port.failed(diagnosis);
  }

  /** What was sent on `flushed` still goes out. */
  #over(flushed: Link | undefined): void {
    this.state = 'ended';
    // First what waits for its turn, so that nothing new starts when what runs is over.
    this.flows.clear();
    this.resume(undefined);
    this.#steps.clear();
    for (const member of [...this.members.values()]) this.tell(member, member.connection.lost());
    for (const link of this.links.splice(0)) {
      link.state = 'down';
      this.port.destroyLink(link, link === flushed);
    }
    this.elements.end();
  }

  // What the exchanges use.

  newLink(number = this.#nextLinkNumber): Link {
    this.#nextLinkNumber = (number % 255) + 1;
    const link = new Link(number, (this.#nextToken ^ (number << 24)) >>> 0);
    this.links.push(link);
    return link;
  }

  send(link: Link, message: LlcMessage): void {
    if (link.sendable) this.port.send(link, encodeLlc(message));
  }

  /** Waits for a message of this type, in the running flow. Undefined: it did not come in time, or the link failed. */
  expect(type: LlcMessage['type'], link: Link, wait: number, resume: (message: LlcMessage | undefined) => void): void {
    this.#expectation = { type, link, deadline: this.now + wait, resume };
  }

  expects(type: LlcMessage['type'], link: Link): boolean {
    return this.#expectation?.type === type && this.#expectation.link === link;
  }

  resume(message: LlcMessage | undefined): void {
    const expectation = this.#expectation;
    this.#expectation = undefined;
    expectation?.resume(message);
  }

  /** Asks the port for a step of a link, and goes on with its answer. */
  step(link: Link, what: 'createLink' | 'connectLink' | 'activateLink', then: (done: boolean) => void): void {
    if (link.state === 'down') return then(false);
    this.#steps.set(link, then);
    this.port[what](link);
  }

  /** A link is gone: what waits for an answer on it waits no more. */
  dropLink(link: Link): void {
    const at = this.links.indexOf(link);
    if (at === -1) return;
    this.links.splice(at, 1);
    link.state = 'down';
    this.elements.rmbs.forgetLink(link);
    this.rtokens.forgetLink(link);
    this.port.destroyLink(link, false);
    this.#advance(link, 'down', false);
    if (this.#expectation?.link === link) this.resume(undefined);
  }

  /** A connection has changed: its owner hears of it, what is pending goes out, and what is finished goes away. */
  tell(member: Member, news: number): void {
    const { connection } = member;
    if (news !== 0) this.port.news(member, news);
    if (connection.pending()) this.port.transmit(member);
    if (connection.finished) this.#remove(member);
  }

  #advance(link: Link, state: Link['state'], done: boolean): void {
    const then = this.#steps.get(link);
    if (then === undefined) return;
    this.#steps.delete(link);
    if (done) link.state = state;
    then(done);
  }

  #remove(member: Member): void {
    const { connection, element, link } = member;
    if (!this.members.delete(connection.token)) return;
    this.#early.take(connection.token);
    link.connections--;
    this.held.delete(connection);
    this.doubts.settle(member);
    this.port.removed(member);
    this.elements.free(element, connection.clean);
    if (this.members.size === 0) this.#idleSince = this.now;
  }
}
