// server-rendezvous.ts - the server's half of the handshake on an accepted TCP connection that was found to have a peer:
// wait until the client has claimed the offer, Proposal, Accept or Decline, Confirm or Decline.

import type net from 'node:net';
import { CLC_MAX_LENGTH, ClcReader, encode } from '../clc/index.js';
import type { ClcMessage } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ServerOffer } from '../transport/backend.js';
import { DECISION, decide, decision } from '../transport/decision.js';
import { type Decline, decline, reasonOfCode, type TransportName } from '../transport/decline.js';
import type { Outcome } from './client-rendezvous.js';
import { Handshake } from './handshake.js';

export class ServerRendezvous extends Handshake {
  readonly #transport: TransportName;
  readonly #offer: ServerOffer;
  readonly #reader = new ClcReader();
  /** What the client's next message has to be. `none`: it has not claimed; what arrives may be payload. */
  #expected: 'none' | 'proposal' | 'confirm' | 'decline' = 'none';
  /** Why the connection goes to TCP, once that is settled and messages of the client are still to come. */
  #why: Decline | undefined;

  constructor(transport: TransportName, offer: ServerOffer, inner: net.Socket, options: ResolvedOptions, done: (outcome: Outcome) => void) {
    super(inner, options, done);
    this.#transport = transport;
    this.#offer = offer;
  }

  start(): void {
    this.listen();
    this.within(this.options.discoveryWait, () => this.#giveUp(decline(this.#transport, 'peer', 'timeout')));
    this.#offer.onAnswer((claimed) => {
      if (this.over || this.#expected !== 'none') return;
      if (claimed) this.#claimed();
      else this.#giveUp(decline(this.#transport, 'peer', 'no-offer', 'the client did not take the offer'));
    });
  }

  protected override onBytes(bytes: Buffer): void {
    this.#reader.push(bytes);
    if (this.#expected !== 'none') this.#next();
    // A plain client may send any amount before it is known to be one. More than a message need not be seen for that.
    else if (this.#reader.length > CLC_MAX_LENGTH) this.hold();
  }

  protected override onEnd(): void {
    // Without a claim these may be a plain client's bytes and its end: they are delivered when the claim is settled.
    if (this.#expected !== 'none') this.fail(systemError('ECONNRESET', 'read'));
  }

  protected override onOver(): void {
    this.#offer.release();
  }

  #claimed(): void {
    this.#expected = 'proposal';
    this.within(this.options.handshakeTimeout, () => this.#timeout());
    this.flow();
    this.#next();
  }

  #next(): void {
    while (this.#expected !== 'none' && !this.over) {
      const message = this.read(this.#reader);
      if (message === undefined) return;
      this.#take(message);
    }
  }

  #take(message: ClcMessage): void {
    if (message.type === 'decline' && this.#expected !== 'proposal') {
      return this.#plain(this.#why ?? decline(this.#transport, 'peer', reasonOfCode(message.diagnosis)));
    }
    if (message.type === 'proposal' && this.#expected === 'proposal') {
      if (this.#why !== undefined) return this.#afterRefusal();
      const accept = this.#offer.proposed(message);
      if ('reason' in accept) return this.#refuse(accept);
      this.#expected = 'confirm';
      this.send(encode(accept));
      return this.within(this.options.handshakeTimeout, () => this.#timeout());
    }
    if (message.type === 'confirm' && this.#expected === 'confirm') {
      if (decision(this.#offer.decisionWords) !== DECISION.ring) return this.violation('a Confirm without the decision for the ring');
      const refused = this.#offer.confirmed(message);
      if (refused !== undefined) return this.violation(refused.detail);
      if (this.#reader.rest().length > 0) return this.violation('payload behind a Confirm');
      return this.finish({ kind: 'ring', channel: this.#offer.channel() });
    }
    this.violation(`a ${message.type} in place of a ${this.#expected}`);
  }

  /** The client has not claimed yet: unless it does so this very moment, it has sent nothing and never will. */
  #giveUp(why: Decline): void {
    switch (decide(this.#offer.decisionWords, DECISION.offered, DECISION.tcpByServer)) {
      case DECISION.tcpByServer:
        return this.#plain(why, true);
      case DECISION.claimed:
        return this.#claimed();
      default:
        return this.violation('an impossible decision');
    }
  }

  /** A Proposal we do not take. Our Decline answers it; the client's crosses ours if it had given up, too. */
  #refuse(why: Decline): void {
    const decided = decide(this.#offer.decisionWords, DECISION.claimed, DECISION.tcpByServer);
    this.sendDecline(why);
    this.#why = why;
    if (decided === DECISION.tcpByServer) this.#plain(why);
    else if (decided === DECISION.tcpByClient) this.#expect('decline');
    else this.violation('an impossible decision');
  }

  #timeout(): void {
    const why = decline(this.#transport, 'peer', 'timeout');
    const decided = decide(this.#offer.decisionWords, DECISION.claimed, DECISION.tcpByServer);
    if (this.#expected === 'confirm') {
      // Our Accept is out. If the decision is ours, the client sends nothing more of CLC; else its message is on the way.
      this.#why = why;
      if (decided === DECISION.tcpByServer) this.#plain(why);
      else this.#expect('confirm');
    } else {
      // The Proposal is on its way and has its answer now.
      this.sendDecline(why);
      this.#why = why;
      this.#expect('proposal');
    }
  }

  /** The late Proposal of a client that we have answered already. */
  #afterRefusal(): void {
    if (decision(this.#offer.decisionWords) === DECISION.tcpByClient) this.#expect('decline');
    else this.#plain(this.#why as Decline);
  }

  #expect(message: 'proposal' | 'confirm' | 'decline'): void {
    this.#expected = message;
    this.within(this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'read')));
  }

  #plain(why: Decline, unspoken = false): void {
    this.finish({ kind: 'tcp', declines: [why], rest: this.#reader.rest(), unspoken });
  }
}
