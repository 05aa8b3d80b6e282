// client.ts - the client's half of agreeing on SMC-R: Proposal, what is made ready at the Accept, Confirm.

import { hostname } from 'node:os';
import {
  type Channel,
  type ClcAcceptConfirm,
  type ClcAcceptConfirmR,
  type ClcClient,
  type ClcProposal,
  type ClcRefusal,
  decline,
  type ResolvedOptions,
} from '@smcjs/core/backend';
import { type Agreement, agreedByAccept, DIAGNOSIS, elementEndOf, linkEndOf, smcrAnswer, smcrProposal } from '../clc/index.js';
import type { SharedMemory } from '../driver/index.js';
import type { Element, Link } from '../group/index.js';
import { DELETE_REASON } from '../llc/index.js';
import type { LocalEnd, SmcrEnvironment } from './environment.js';
import type { PeerGroup } from './peer-group.js';
import { declined, isRefusal } from './refusal.js';
import { later } from '../later.js';
import type { SmcrChannel } from './smcr-channel.js';
import { isDirect } from './subnet.js';

export class SmcrClient implements ClcClient {
  readonly proposal: ClcProposal;
  readonly #environment: SmcrEnvironment;
  readonly #local: LocalEnd;
  readonly #remote: string;
  readonly #options: ResolvedOptions;
  #founded: PeerGroup | undefined;
  #channel: SmcrChannel | undefined;
  #released = false;

  constructor(environment: SmcrEnvironment, local: LocalEnd, remote: string, options: ResolvedOptions) {
    this.#environment = environment;
    this.#local = local;
    this.#remote = remote;
    this.#options = options;
    this.proposal = smcrProposal(local.terms);
  }

  accepted(accept: ClcAcceptConfirm, done: (result: ClcAcceptConfirm | ClcRefusal) => void): void {
    later(this.#prepare(accept), done, (error) => declined(DIAGNOSIS.internal, error));
  }

  confirmed(done: (result: Channel | ClcRefusal) => void): void {
    const channel = this.#channel as SmcrChannel;
    const founded = this.#founded;
    if (founded === undefined) return done(channel);
    const outcome = founded
      .established()
      .then((diagnosis) => (diagnosis === undefined ? channel : declined(diagnosis, founded.driver.lastError)));
    later<Channel | ClcRefusal>(outcome, done, (error) => declined(DIAGNOSIS.internal, error));
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#channel?.abandon(true);
    if (this.#founded?.group.state === 'founding') this.#founded.end(DELETE_REASON.programEnded);
  }

  async #prepare(accept: ClcAcceptConfirm): Promise<ClcAcceptConfirm | ClcRefusal> {
    const { terms } = this.#local;
    if (accept.path !== 'smcr') return { why: decline('smcr', 'peer', 'peer-violation', 'an Accept of SMC-D'), how: 'decline' };
    const agreement = agreedByAccept(accept, terms);
    if (typeof agreement === 'number') return declined(agreement);
    if (!isDirect(terms.gid, accept.gid)) return declined(DIAGNOSIS.noRoute);
    const met = accept.firstContact ? await this.#found(accept, agreement) : this.#known(accept);
    return isRefusal(met) ? met : this.#confirm(accept, agreement, met.group, met.link);
  }

  #known({ peerId, gid, qpNumber }: ClcAcceptConfirmR): { group: PeerGroup; link: Link } | ClcRefusal {
    const found = this.#environment.known(peerId, gid, qpNumber);
    if (found === undefined) return { why: decline('smcr', 'local', 'out-of-sync'), how: 'out-of-sync' };
    if (found.group.staysOn(this.#options.rdmaDevices)) return found;
    const detail = 'the server named a link group over devices that rdmaDevices does not have';
    return { why: decline('smcr', 'local', 'no-device', detail), how: 'decline' };
  }

  async #found(accept: ClcAcceptConfirmR, agreement: Agreement): Promise<{ group: PeerGroup; link: Link } | ClcRefusal> {
    const options = { role: 'client', agreement, peerId: accept.peerId, ways: this.#local.ways, remote: this.#remote } as const;
    const group = await this.#environment.found(options, linkEndOf(accept));
    this.#founded = group;
    if (this.#released) group.end(DELETE_REASON.programEnded);
    const link = await group.reachable();
    return typeof link === 'number' ? declined(link, group.driver.lastError) : { group, link };
  }

  async #confirm(accept: ClcAcceptConfirmR, agreement: Agreement, group: PeerGroup, link: Link): Promise<ClcAcceptConfirm | ClcRefusal> {
    const theirs = elementEndOf(accept);
    const { terms, ways } = this.#local;
    const element = await group.element(this.#options.ringSize);
    if (element === undefined) return declined(DIAGNOSIS.noMemory, group.driver.lastError);
    let buffer: SharedMemory | undefined;
    try {
      buffer = await group.sendBuffer(theirs.size);
      const token = group.group.newToken();
      const { firstContact } = accept;
      const parts = {
        agreement,
        local: terms,
        link,
        element,
        token,
        firstContact,
        hostname: hostname(),
        gids: ways.map(({ gid }) => gid.gid),
      };
      const confirm = smcrAnswer('confirm', parts);
      // To a link that died meanwhile nobody would bring it back.
      const usable = !this.#released && link.state !== 'down';
      this.#channel = usable ? group.join(link, element, token, theirs, buffer) : undefined;
      if (this.#channel !== undefined) return confirm;
      return this.#giveBack(group, element, buffer, declined(usable ? DIAGNOSIS.rtoken : DIAGNOSIS.noActiveLink));
    } catch (error) {
      // What it was made of goes with the link.
      const diagnosis = link.state === 'down' ? DIAGNOSIS.noActiveLink : DIAGNOSIS.internal;
      return this.#giveBack(group, element, buffer, declined(diagnosis, error as Error));
    }
  }

  #giveBack(group: PeerGroup, element: Element, buffer: SharedMemory | undefined, refusal: ClcRefusal): ClcRefusal {
    if (buffer !== undefined) group.driver.releaseBuffer(buffer);
    group.group.elements.giveBack(element, true);
    return refusal;
  }
}
