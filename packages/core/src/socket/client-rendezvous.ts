// client-rendezvous.ts - the client's half of the handshake on a connected TCP socket: wait for an offer, Proposal,
// Accept or Decline, the agreed switch, Confirm or Decline. See transport/decision.ts for what follows from each word.

import type net from 'node:net';
import { ClcReader, encode } from '../clc/index.js';
import type { ClcMessage, ClcProposal } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ClientAttempt, ClientOffer } from '../transport/backend.js';
import type { Channel } from '../transport/channel.js';
import { DECISION, decide } from '../transport/decision.js';
import { type Decline, decline, reasonOfCode, type TransportName } from '../transport/decline.js';
import { Handshake } from './handshake.js';

/** Proposals are the same for every connection of a loop. */
const proposals = new WeakMap<ClcProposal, Uint8Array>();

function encodedProposal(proposal: ClcProposal): Uint8Array {
  const known = proposals.get(proposal) ?? encode(proposal);
  proposals.set(proposal, known);
  return known;
}

/**
 * How a handshake ended. `rest` is payload that arrived behind the last CLC message. `unspoken`: no CLC message has been or will be
 * exchanged, and both sides know that.
 */
export type Outcome =
  | { readonly kind: 'ring'; readonly channel: Channel }
  | { readonly kind: 'tcp'; readonly declines: readonly Decline[]; readonly rest: Buffer; readonly unspoken?: boolean }
  | { readonly kind: 'error'; readonly error: Error };

/** A transport by which the server may be met. */
export interface Attempt {
  readonly name: TransportName;
  readonly attempt: ClientAttempt;
}

export class ClientRendezvous extends Handshake {
  readonly #attempts: readonly Attempt[];
  readonly #reader = new ClcReader();
  /** Why attempts came to nothing. */
  readonly #declines = new Map<TransportName, Decline>();
  #transport: TransportName = 'tcp';
  #offer: ClientOffer | undefined;
  /** We have declined after the claim: one answer of the server is still to come before its payload. */
  #declined: Decline | undefined;

  constructor(attempts: readonly Attempt[], inner: net.Socket, options: ResolvedOptions, done: (outcome: Outcome) => void) {
    super(inner, options, done);
    this.#attempts = attempts;
  }

  start(): void {
    this.listen();
    this.within(this.options.discoveryWait, () => {
      for (const { attempt } of this.#attempts) attempt.abandon('timeout');
      this.#noOffer();
    });
    for (const { name, attempt } of this.#attempts) attempt.wait((found) => this.#found(name, found));
  }

  /** The server offers by the transport it prefers; the other attempts are over then. */
  #found(name: TransportName, found: ClientOffer | Decline | undefined): void {
    if (found !== undefined && 'proposal' in found) {
      if (this.over || this.#offer !== undefined) return found.release();
      this.#transport = name;
      this.#propose(found);
      for (const { name: other, attempt } of this.#attempts) if (other !== name) attempt.abandon('other');
      return;
    }
    this.#declines.set(name, found ?? decline(name, 'peer', 'no-offer'));
    if (!this.over && this.#offer === undefined && this.#declines.size === this.#attempts.length) this.#noOffer();
  }

  protected override onBytes(bytes: Buffer): void {
    this.#reader.push(bytes);
    // Before a Proposal nobody speaks CLC: it is a plain peer that speaks first.
    if (this.#offer === undefined) return this.#noOffer('the server spoke first');
    const message = this.read(this.#reader);
    if (message !== undefined) this.#answered(this.#offer, message);
  }

  protected override onEnd(): void {
    if (this.#offer === undefined) this.#noOffer('the server closed the connection');
    else this.fail(systemError('ECONNRESET', 'read'));
  }

  protected override onOver(): void {
    for (const { attempt } of this.#attempts) attempt.abandon('other');
    this.#offer?.release();
  }

  #propose(offer: ClientOffer): void {
    this.#offer = offer;
    this.send(encodedProposal(offer.proposal));
    this.within(this.options.handshakeTimeout, () => this.#refuse(offer, decline(this.#transport, 'local', 'timeout')));
  }

  #answered(offer: ClientOffer, message: ClcMessage): void {
    if (this.#declined !== undefined) return this.#plain(this.#declined);
    if (message.type === 'decline') return this.#plain(decline(this.#transport, 'peer', reasonOfCode(message.diagnosis)));
    if (message.type !== 'accept') return this.violation(`a ${message.type} in place of an Accept`);
    const confirm = offer.accepted(message);
    if ('reason' in confirm) return this.#refuse(offer, confirm, true);
    switch (decide(offer.decisionWords, DECISION.claimed, DECISION.ring)) {
      case DECISION.ring:
        this.send(encode(confirm));
        if (this.#reader.rest().length > 0) return this.violation('payload behind an Accept');
        return this.finish({ kind: 'ring', channel: offer.channel() });
      case DECISION.tcpByServer:
        return this.#plain(decline(this.#transport, 'peer', 'timeout'));
      default:
        return this.violation('an impossible decision');
    }
  }

  /** We do not want the ring after all: the server learns it by our Decline, unless it has given up itself. */
  #refuse(offer: ClientOffer, why: Decline, answered = false): void {
    switch (decide(offer.decisionWords, DECISION.claimed, DECISION.tcpByClient)) {
      case DECISION.tcpByClient:
        this.sendDecline(why);
        break;
      case DECISION.tcpByServer:
        break;
      default:
        return this.violation('an impossible decision');
    }
    if (answered) return this.#plain(why);
    this.#declined = why;
    this.within(this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'connect')));
  }

  #noOffer(detail?: string): void {
    const declines = this.#attempts.map(({ name }) => this.#declines.get(name) ?? decline(name, 'peer', 'no-offer', detail));
    this.finish({ kind: 'tcp', declines, rest: this.#reader.rest(), unspoken: detail === undefined });
  }

  #plain(why: Decline): void {
    this.finish({ kind: 'tcp', declines: [why], rest: this.#reader.rest() });
  }
}
