// smcd-server.ts - the server's side: look for the name of an accepted connection, offer a ring to who left it.

import {
  acceptConfirmOf,
  type Channel,
  type ClcAcceptConfirm,
  type ClcProposal,
  type Decline,
  decline,
  isProposalOf,
  matches,
  REASONS,
  type ResolvedOptions,
  type ServerOffer,
} from '@smcjs/core/backend';
import { DOORBELL_SLOTS } from './doorbell.js';
import type { Accepted, LinkGroup, Reservation } from './link-group.js';
import { TUPLE_BYTES } from './messages.js';
import type { Element } from './segment.js';
import type { SmcdEnvironment } from './smcd-environment.js';
import { randomToken } from './token.js';

/** Reused for every accepted connection: looking for a name allocates nothing but the name. */
const tuple = Buffer.alloc(TUPLE_BYTES);

/** An offer to the client of this accepted connection; undefined when it left no name, a Decline when none can be made. */
export function makeOffer(environment: SmcdEnvironment, fd: number, options: ResolvedOptions): ServerOffer | Decline | undefined {
  if (environment.addon.acceptedTuple(fd, tuple) !== 0) return undefined;
  const name = environment.registry.tupleName(tuple);
  const inode = environment.registry.inode(name);
  if (inode < 0) return undefined;
  const own = Buffer.from(tuple);
  const syn = environment.addon.acceptedTimestamp(fd);
  const group = environment.serve(inode, name, own, options.peerUsers);
  if (group === 'foreign') return decline('smcd', 'peer', 'foreign-user');
  if (group === undefined) return decline('smcd', 'peer', 'no-offer', 'the client cannot be reached over its Unix socket');
  const reservation = group.reserve(options.ringSize);
  const offer = reservation === undefined ? undefined : new SmcdServerOffer(environment, group, reservation, options);
  if (offer?.send({ tuple: own, syn: syn < 0 ? undefined : syn })) return offer;
  group.decline(own, REASONS['no-memory'].code);
  return decline('smcd', 'local', 'no-memory');
}

class SmcdServerOffer implements ServerOffer {
  readonly decisionWords: Int32Array;
  readonly #token = randomToken();
  readonly #environment: SmcdEnvironment;
  readonly #group: LinkGroup;
  readonly #reservation: Reservation;
  readonly #options: ResolvedOptions;
  #answered: ((claimed: boolean) => void) | undefined;
  #claimed: boolean | undefined;
  #client: { token: bigint; slot: number; element: Element } | undefined;
  /** The client has answered with a ring that we could not map. */
  #unmapped = false;
  #released = false;
  #refused = false;
  #opened = false;

  constructor(environment: SmcdEnvironment, group: LinkGroup, reservation: Reservation, options: ResolvedOptions) {
    this.#options = options;
    this.#environment = environment;
    this.#group = group;
    this.#reservation = reservation;
    this.decisionWords = reservation.element.memory.words;
  }

  send(of: Accepted): boolean {
    const sent = this.#group.offer(of, this.#token, this.#reservation, (answer) => {
      if (answer === undefined) {
        this.#refused = true;
        if (this.#released) this.#group.unreserve(this.#reservation);
      } else if (this.#client === undefined && answer.slot < DOORBELL_SLOTS) {
        const element = this.#group.peerElement(answer.element);
        this.#unmapped = element === undefined;
        if (element !== undefined) this.#client = { token: answer.token, slot: answer.slot, element };
      }
      this.#answer(this.#client !== undefined);
    });
    if (sent) this.#environment.hub.countHandshake(this.#options.busyPoll, 1);
    else this.#group.unreserve(this.#reservation);
    return sent;
  }

  onAnswer(answered: (claimed: boolean) => void): void {
    if (this.#claimed !== undefined) answered(this.#claimed);
    else this.#answered = answered;
  }

  proposed(proposal: ClcProposal): ClcAcceptConfirm | Decline {
    this.#environment.hub.expectNews();
    const instance = this.#group.peerInstance;
    if (this.#unmapped) return decline('smcd', 'local', 'no-memory', "the client's ring cannot be mapped");
    if (this.#client === undefined || instance === undefined || this.#group.lost) {
      return decline('smcd', 'peer', 'out-of-sync', 'the link group has ended');
    }
    if (!isProposalOf(proposal, instance)) {
      return decline('smcd', 'peer', 'peer-violation', 'the Proposal is not of the loop that claimed the offer');
    }
    const { instance: own } = this.#environment;
    const capacity = this.#reservation.element.memory.capacity;
    return acceptConfirmOf('accept', { instance: own, token: this.#token, capacity, linkId: this.#group.id });
  }

  confirmed(confirm: ClcAcceptConfirm): Decline | undefined {
    const instance = this.#group.peerInstance;
    const known = this.#client && instance && { instance, token: this.#client.token, capacity: this.#client.element.memory.capacity };
    if (known !== undefined && confirm.path === 'smcd' && matches(confirm, known)) return undefined;
    return decline('smcd', 'peer', 'peer-violation', 'the Confirm does not name the ring that was claimed with');
  }

  channel(): Channel {
    if (this.#client === undefined) throw new Error('not claimed');
    this.#opened = true;
    this.#environment.hub.countHandshake(this.#options.busyPoll, -1);
    this.#group.settled(this.#token);
    return this.#group.open(this.#reservation, this.#client.element, this.#client.slot);
  }

  /** Until the client has said that it is done with the offer it may still look at the decision in our element. */
  release(): void {
    if (this.#released || this.#opened) return;
    this.#released = true;
    this.#environment.hub.countHandshake(this.#options.busyPoll, -1);
    if (this.#refused) this.#group.unreserve(this.#reservation);
  }

  #answer(claimed: boolean): void {
    if (this.#claimed !== undefined) return;
    this.#claimed = claimed;
    this.#answered?.(claimed);
  }
}
