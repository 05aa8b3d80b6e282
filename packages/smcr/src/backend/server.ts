// server.ts - the server's half of agreeing on SMC-R: what a Proposal is answered with, and what is made ready at the Confirm.
//
// On a further contact the Accept is this side's last message (RFC 7609 appendix C): what fails behind it resets the connection, which the
// client, to whom TCP's end is only a suspicion, is told over the link. So the memory is had before. On a first contact CONFIRM LINK is
// the end.

import { hostname } from 'node:os';
import type {
  Channel,
  ClcAcceptConfirm,
  ClcAcceptConfirmR,
  ClcProposal,
  ClcRefusal,
  ClcServer,
  ResolvedOptions,
  TcpEnds,
} from '@smcjs/core/backend';
import { choose, confirmMismatch, DIAGNOSIS, elementEndOf, linkEndOf, smcrAnswer } from '../clc/index.js';
import type { SharedMemory } from '../driver/index.js';
import { type Element, type Link, refuse } from '../group/index.js';
import { DELETE_REASON } from '../llc/index.js';
import type { SmcrEnvironment } from './environment.js';
import type { PeerGroup } from './peer-group.js';
import { declined, declineOf, reset } from './refusal.js';
import { later } from '../later.js';
import type { SmcrChannel } from './smcr-channel.js';
import { isDirect, sameGid } from './subnet.js';

/** What the Accept has named, until it is a connection's. */
interface Named {
  readonly group: PeerGroup;
  readonly firstContact: boolean;
  readonly link: Link;
  readonly element: Element;
  readonly token: number;
  readonly accept: ClcAcceptConfirmR;
  /** Further contact: what the connection will send from, if the client's element is as large as its last one. */
  readonly buffer: SharedMemory | undefined;
}

export class SmcrServer implements ClcServer {
  readonly #environment: SmcrEnvironment;
  readonly #ends: TcpEnds;
  readonly #options: ResolvedOptions;
  #named: Named | undefined;
  #founded: PeerGroup | undefined;
  #channel: SmcrChannel | undefined;
  /** Further contact, the Confirm was right: tells the client, over the link, that there is no connection. */
  #refuse: (() => void) | undefined;
  /** The client has declined: it does not write into what the Accept named. */
  #declined = false;
  #released = false;

  constructor(environment: SmcrEnvironment, ends: TcpEnds, options: ResolvedOptions) {
    this.#environment = environment;
    this.#ends = ends;
    this.#options = options;
  }

  proposed(proposal: ClcProposal, done: (result: ClcAcceptConfirm | ClcRefusal) => void): void {
    later(this.#accept(proposal), done, (error) => declined(DIAGNOSIS.internal, error));
  }

  confirmed(confirm: ClcAcceptConfirm, done: (result: Channel | ClcRefusal) => void): void {
    later(this.#join(confirm), done, (error) => this.#late(DIAGNOSIS.internal, error));
  }

  declined(outOfSync: boolean): void {
    this.#declined = true;
    if (outOfSync && this.#named?.firstContact === false) this.#environment.registry.outOfSync(this.#named.group.group);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#channel?.abandon(true);
    this.#giveBack();
    if (this.#founded?.group.state === 'founding') this.#founded.end(DELETE_REASON.programEnded);
  }

  async #accept(proposal: ClcProposal): Promise<ClcAcceptConfirm | ClcRefusal> {
    const local = await this.#environment.local(this.#ends.local.address, this.#options);
    if ('reason' in local) return { why: local, how: 'decline' };
    const { terms, ways } = local;
    const agreement = choose(proposal, terms);
    if (typeof agreement === 'number') return declined(agreement);
    const gid = agreement.version === 2 ? (proposal.extension?.roceV2Gid ?? proposal.roceV1Gid) : proposal.roceV1Gid;
    if (!isDirect(terms.gid, gid)) return declined(DIAGNOSIS.noRoute);
    const options = { role: 'server', agreement, peerId: proposal.peerId, ways, remote: this.#ends.remote.address } as const;
    const { group, element: known } = await this.#environment.serve(gid, options, this.#options);
    const firstContact = known === undefined;
    if (firstContact) {
      this.#founded = group;
      if (this.#released) group.end(DELETE_REASON.programEnded);
    }
    const reached = firstContact ? await group.reachable() : undefined;
    if (typeof reached === 'number') return declined(reached, group.driver.lastError);
    const element = await (known ?? group.element(this.#options.ringSize));
    if (element === undefined) return declined(DIAGNOSIS.noMemory, group.driver.lastError);
    let buffer: SharedMemory | undefined;
    try {
      if (!firstContact) buffer = await group.nextSendBuffer();
    } catch (error) {
      group.group.elements.giveBack(element, true);
      return declined(DIAGNOSIS.noMemory, error as Error);
    }
    const link = reached ?? group.group.bestLink;
    if (link === undefined || this.#released || !element.rmb.rkeys.has(link)) {
      if (buffer !== undefined) group.driver.releaseBuffer(buffer);
      group.group.elements.giveBack(element, true);
      return declined(DIAGNOSIS.noActiveLink);
    }
    const token = group.group.newToken();
    const accept = smcrAnswer('accept', { agreement, local: terms, link, element, token, firstContact, hostname: hostname() });
    group.group.announce(token);
    this.#named = { group, firstContact, link, element, token, accept, buffer };
    return accept;
  }

  async #join(confirm: ClcAcceptConfirm): Promise<Channel | ClcRefusal> {
    const named = this.#named as Named;
    const { group, firstContact, link, element, token, accept } = named;
    if (confirm.path !== 'smcr') return this.#late(DIAGNOSIS.modesDiffer);
    const mismatch = confirmMismatch(confirm, accept) ?? (firstContact ? undefined : strange(confirm, link));
    if (mismatch !== undefined) return this.#late(mismatch);
    const theirs = elementEndOf(confirm);
    if (!firstContact) this.#refuse = () => refuse(group.group, link, theirs.token);
    this.#named = { ...named, buffer: undefined };
    const buffer = await group.sendBuffer(theirs.size, named.buffer);
    if (this.#released || group.group.state === 'ended') return this.#unsent(group, buffer, DIAGNOSIS.internal);
    // Nobody would move it to another link: it has not been there when this one died.
    if (link.state === 'down') return this.#unsent(group, buffer, DIAGNOSIS.noActiveLink);
    const channel = group.join(link, element, token, theirs, buffer);
    if (channel === undefined) return this.#unsent(group, buffer, DIAGNOSIS.rtoken);
    this.#named = this.#refuse = undefined;
    this.#channel = channel;
    group.group.welcome(channel.member, group.driver.now);
    if (!firstContact) return channel;
    group.group.confirmed(linkEndOf(confirm), group.driver.now);
    const diagnosis = await group.established();
    return diagnosis === undefined ? channel : declined(diagnosis, group.driver.lastError);
  }

  #unsent(group: PeerGroup, buffer: SharedMemory, diagnosis: number): ClcRefusal {
    group.driver.releaseBuffer(buffer);
    return this.#late(diagnosis);
  }

  /** A failure behind the Accept. */
  #late(diagnosis: number, cause?: Error): ClcRefusal {
    this.#refuse?.();
    const further = this.#named?.firstContact === false;
    return further ? reset(declineOf(diagnosis, cause)) : declined(diagnosis, cause);
  }

  /** A client that has not declined may have sent its Confirm and write already: the element rests. */
  #giveBack(): void {
    if (this.#named === undefined) return;
    const { group, element, token, buffer } = this.#named;
    this.#named = undefined;
    if (buffer !== undefined) group.driver.releaseBuffer(buffer);
    group.group.forget(token);
    group.group.elements.giveBack(element, this.#declined);
  }
}

/** The Confirm of a further contact comes from the other end of the link. */
function strange({ gid, qpNumber }: ClcAcceptConfirmR, { peer }: Link): number | undefined {
  return peer !== undefined && peer.qpNumber === qpNumber && sameGid(peer.gid, gid) ? undefined : DIAGNOSIS.noServerLink;
}
