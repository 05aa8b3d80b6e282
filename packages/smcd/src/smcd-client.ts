// smcd-client.ts - the client's side of finding a peer: leave a name, connect, be offered a ring, claim it.

import {
  acceptConfirmOf,
  type Channel,
  type ClcAcceptConfirm,
  type ClcProposal,
  type ClientAttempt,
  type ClientOffer,
  DECISION,
  type Decline,
  decide,
  decline,
  type Endpoint,
  matches,
  type ResolvedOptions,
  reasonOfCode,
} from '@smcjs/core/backend';
import type { LinkGroup, Reservation } from './link-group.js';
import { type ControlMessage, TUPLE_BYTES } from './messages.js';
import type { Element } from './segment.js';
import type { OfferTaker, SmcdEnvironment } from './smcd-environment.js';
import { randomToken } from './token.js';

type Offer = Extract<ControlMessage, { type: 'offer' }>;

/** Ticks of TCP's timestamp clock, milliseconds, between a SYN and the offer for it: discoveryWait is shorter. */
const SYN_AGE_MAX = 65_536;

/** Markers whose owner did not offer: not believed until a time, and for how long next. */
const DISTRUST_FIRST_MS = 1_000;
const DISTRUST_MAX_MS = 60_000;
const distrusted = new Map<string, { until: number; next: number }>();

export function isDistrusted(to: Endpoint): boolean {
  const entry = distrusted.get(`${to.address} ${to.port}`);
  return entry !== undefined && performance.now() < entry.until;
}

function distrust(to: Endpoint): void {
  const key = `${to.address} ${to.port}`;
  const wait = distrusted.get(key)?.next ?? DISTRUST_FIRST_MS;
  distrusted.set(key, { until: performance.now() + wait, next: Math.min(wait * 2, DISTRUST_MAX_MS) });
}

export class SmcdAttempt implements ClientAttempt, OfferTaker {
  readonly fd: number;
  readonly #environment: SmcdEnvironment;
  readonly #options: ResolvedOptions;
  readonly #to: Endpoint;
  readonly #name: string;
  #found: ((offer: ClientOffer | Decline | undefined) => void) | undefined;
  #outcome: ClientOffer | Decline | undefined;
  #over = false;

  private constructor(environment: SmcdEnvironment, to: Endpoint, options: ResolvedOptions, fd: number, name: string) {
    this.#environment = environment;
    this.#options = options;
    this.#to = to;
    this.fd = fd;
    this.#name = name;
    environment.expectUsers(options.peerUsers);
    environment.takers.set(name, this);
    environment.hub.countHandshake(options.busyPoll, 1);
  }

  /** Binds a source and leaves the name of the connection to come; undefined when the address is not of this host. */
  static start(environment: SmcdEnvironment, to: Endpoint, options: ResolvedOptions): SmcdAttempt | undefined {
    const tuple = Buffer.allocUnsafe(TUPLE_BYTES);
    const fd = environment.addon.bindSource(to.address, to.port, tuple);
    if (fd < 0) return undefined;
    const name = environment.registry.tupleName(tuple);
    if (environment.registry.linkTuple(environment.name, name) < 0) {
      // A name left by somebody who died with the same tuple: our bind proves that it is nobody's now.
      environment.registry.unlinkName(name);
      if (environment.registry.linkTuple(environment.name, name) < 0) {
        environment.addon.closeDescriptor(fd);
        return undefined;
      }
    }
    return new SmcdAttempt(environment, to, options, fd, name);
  }

  get peerUsers(): readonly number[] {
    return this.#options.peerUsers;
  }

  /** The source was bound in advance. */
  connecting(): void {}

  wait(found: (offer: ClientOffer | Decline | undefined) => void): void {
    if (this.#outcome !== undefined || this.#over) found(this.#outcome);
    else this.#found = found;
  }

  abandon(why: 'timeout' | 'other'): void {
    if (this.#over) return;
    if (why === 'timeout') distrust(this.#to);
    this.#finish(undefined);
  }

  offered(group: LinkGroup, offer: Offer): void {
    if (offer.syn !== undefined && !this.#sent(offer.syn)) {
      group.refuse(offer.token);
      this.#finish(decline('smcd', 'path', 'translated'));
      return;
    }
    const server = group.peerElement(offer.element);
    const reservation = server === undefined ? undefined : group.reserve(this.#options.ringSize);
    if (server === undefined || reservation === undefined) {
      group.refuse(offer.token);
      this.#finish(decline('smcd', 'local', 'no-memory'));
      return;
    }
    // From here on the server may count on our Proposal; if it has given up, it has not.
    if (decide(server.memory.words, DECISION.offered, DECISION.claimed) !== DECISION.claimed) {
      group.unreserve(reservation);
      group.refuse(offer.token);
      this.#finish(decline('smcd', 'peer', 'timeout'));
      return;
    }
    distrusted.delete(`${this.#to.address} ${this.#to.port}`);
    const claimed = new SmcdClientOffer(this.#environment, group, offer, server, reservation, this.#options);
    group.answer(offer.token, claimed.token, reservation);
    this.#finish(claimed);
  }

  /**
   * Is it our connection that the server has accepted? Where addresses are translated on the way, a stranger's can arrive with
   * ours; but its SYN has a TSval of another clock, off by a random number.
   */
  #sent(syn: number): boolean {
    const now = this.#environment.addon.timestamp(this.fd);
    return now < 0 || Math.abs((now - syn) | 0) <= SYN_AGE_MAX;
  }

  declined(diagnosis: number): void {
    this.#finish(decline('smcd', 'peer', reasonOfCode(diagnosis)));
  }

  #finish(outcome: ClientOffer | Decline | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#outcome = outcome;
    if (!(outcome instanceof SmcdClientOffer)) this.#environment.hub.countHandshake(this.#options.busyPoll, -1);
    this.#environment.takers.delete(this.#name);
    this.#environment.registry.unlinkName(this.#name);
    this.#found?.(outcome);
  }
}

class SmcdClientOffer implements ClientOffer {
  /** Told to the server over the Unix socket; our Confirm repeats it. */
  readonly token = randomToken();
  readonly proposal: ClcProposal;
  readonly decisionWords: Int32Array;

  readonly #environment: SmcdEnvironment;
  readonly #group: LinkGroup;
  readonly #offer: Offer;
  readonly #server: Element;
  readonly #reservation: Reservation;
  readonly #options: ResolvedOptions;
  #done = false;

  constructor(
    environment: SmcdEnvironment,
    group: LinkGroup,
    offer: Offer,
    server: Element,
    reservation: Reservation,
    options: ResolvedOptions,
  ) {
    this.#options = options;
    this.#environment = environment;
    this.#group = group;
    this.#offer = offer;
    this.#server = server;
    this.#reservation = reservation;
    this.decisionWords = server.memory.words;
    this.proposal = environment.proposal;
  }

  accepted(accept: ClcAcceptConfirm): ClcAcceptConfirm | Decline {
    this.#environment.hub.expectNews();
    const instance = this.#group.peerInstance;
    if (instance === undefined || this.#group.lost) return decline('smcd', 'peer', 'out-of-sync', 'the link group has ended');
    const known = { instance, token: this.#offer.token, capacity: this.#server.memory.capacity };
    if (accept.path !== 'smcd' || !matches(accept, known)) {
      return decline('smcd', 'peer', 'peer-violation', 'the Accept does not name the ring that was offered');
    }
    const { instance: own } = this.#environment;
    const capacity = this.#reservation.element.memory.capacity;
    return acceptConfirmOf('confirm', { instance: own, token: this.token, capacity, linkId: this.#group.id });
  }

  channel(): Channel {
    this.#finish();
    return this.#group.open(this.#reservation, this.#server, this.#offer.slot);
  }

  release(): void {
    if (this.#done) return;
    this.#finish();
    this.#group.unreserve(this.#reservation);
    this.#group.refuse(this.#offer.token);
  }

  #finish(): void {
    this.#done = true;
    this.#environment.hub.countHandshake(this.#options.busyPoll, -1);
  }
}
