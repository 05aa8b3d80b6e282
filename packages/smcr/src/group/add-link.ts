// add-link.ts - LLC ADD LINK: a further link, so that connections survive the loss of one (RFC 7609 sections 3.5.5 and 4.5.4).
//
//   server                                                  client
//   QP made            -- ADD LINK, with rkeys (v2) -->      QP made, RTR
//                      <-- answer, with rkeys, or reject --
//   version 1:         -- ADD LINK CONTINUE, rkeys -->
//                      <-- the same, until both told all --
//   RTR, RTS           == CONFIRM LINK on the new link ==>   RTS
//                      <== answer on the new link ==
//
// Answers within 2 s, CONFIRM LINK within 5 s. If anything fails the new link goes, and the others are as before.

import { type AddLink, DELETE_REASON, type LlcMessage, RKEYS_PER_CONTINUE, type RkeyOnNewLink } from '../llc/index.js';
import type { MtuCode } from '../verbs-provider.js';
import { confirmLink } from './confirm-link.js';
import type { Link, LinkEnd } from './link.js';
import type { LinkGroup } from './link-group.js';
import { LLC_WAIT } from './llc-flows.js';

export const FURTHER_CONFIRM_WAIT = 5000;
/** A client has to bear one more than agreed, while the server replaces an asymmetric link. */
const CLIENT_LINKS = 3;

const zeros = (length: number): Uint8Array => new Uint8Array(length);

/** Server: adds a link if fewer than agreed are there. Without news if it cannot be had. */
export function startAddLink(group: LinkGroup): void {
  if (group.links.length >= group.maxLinks) return;
  group.flows.accept('add-link', group.now, () => {
    const via = group.bestLink;
    if (via === undefined || group.links.length >= group.maxLinks) return group.flows.stop();
    const link = group.newLink();
    const fail = failing(group, link, via);
    group.step(link, 'createLink', (created) => {
      if (!created) return fail('quietly');
      group.send(via, addLink(group, via, link, false));
      group.expect('add-link', via, LLC_WAIT, (answer) => {
        const peer = answer?.type === 'add-link' && !answer.rejected ? peerEndOf(answer) : undefined;
        if (answer?.type !== 'add-link' || peer === undefined) return fail('quietly');
        link.peer = peer;
        learn(group, via, link, answer.extension?.rkeys);
        group.step(link, 'connectLink', (connected) => {
          if (!connected) return fail('told');
          if (group.version === 1) tellRkeys(group, via, link, 0, (all) => (all ? confirm(group, link, fail) : fail('told')));
          else confirm(group, link, fail);
        });
      });
    });
  });
}

/** Client: the server adds a link. */
export function acceptAddLink(group: LinkGroup, via: Link, request: AddLink): void {
  if (via.state !== 'active' || group.links.length >= CLIENT_LINKS || request.linkNumber === 0) return reject(group, via, request);
  if (group.links.some(({ number }) => number === request.linkNumber)) return reject(group, via, request);
  const peer = peerEndOf(request);
  if (peer === undefined) return reject(group, via, request);
  const link = group.newLink(request.linkNumber);
  const fail = failing(group, link, via);
  link.peer = peer;
  link.direct = request.extension?.direct ?? true;
  const refuse = (): void => {
    group.dropLink(link);
    reject(group, via, request);
  };
  group.step(link, 'createLink', (created) => {
    if (!created) return refuse();
    group.step(link, 'connectLink', (connected) => {
      if (!connected) return refuse();
      learn(group, via, link, request.extension?.rkeys);
      group.send(via, addLink(group, via, link, true));
      const awaitConfirm = (): void =>
        group.expect('confirm-link', link, FURTHER_CONFIRM_WAIT, (asked) => answer(group, link, asked, fail));
      if (group.version === 1) hearRkeys(group, via, link, 0, (all) => (all ? awaitConfirm() : fail('told')));
      else awaitConfirm();
    });
  });
}

function answer(group: LinkGroup, link: Link, request: LlcMessage | undefined, fail: (how: 'told') => void): void {
  if (request?.type !== 'confirm-link') return fail('told');
  link.peerUid = request.linkUid;
  group.step(link, 'activateLink', (activated) => {
    if (!activated) return fail('told');
    group.send(link, confirmLink(group, link, true));
    finish(group, link);
  });
}

function confirm(group: LinkGroup, link: Link, fail: (how: 'told') => void): void {
  group.step(link, 'activateLink', (activated) => {
    if (!activated) return fail('told');
    group.send(link, confirmLink(group, link, false));
    group.expect('confirm-link', link, FURTHER_CONFIRM_WAIT, (reply) => {
      if (reply?.type !== 'confirm-link') return fail('told');
      link.peerUid = reply.linkUid;
      finish(group, link);
    });
  });
}

function finish(group: LinkGroup, link: Link): void {
  link.state = 'active';
  link.answered(group.now);
  group.flows.stop();
}

/** Ends the exchange without the link; 'told': the peer has made its end of it and is to take it down. */
function failing(group: LinkGroup, link: Link, via: Link): (how: 'quietly' | 'told') => void {
  return (how) => {
    if (group.state === 'ended') return;
    if (link.state !== 'down') group.dropLink(link);
    if (how === 'told' && via.state === 'active') {
      const reason = DELETE_REASON.lostPath;
      group.send(via, {
        type: 'delete-link',
        version: group.version,
        response: false,
        linkNumber: link.number,
        all: false,
        orderly: false,
        reason,
      });
    }
    group.flows.stop();
  };
}

function reject(group: LinkGroup, via: Link, request: AddLink): void {
  const { extension: _, ...rest } = request;
  const rejectReason = group.version === 1 ? 1 : 0;
  group.send(via, { ...rest, version: group.version, response: true, rejected: true, rejectReason });
  group.flows.stop();
}

/** How the other side's end is reached; undefined when it cannot be. */
function peerEndOf({ gid, mac, qpNumber, psn, qpMtu }: AddLink): LinkEnd | undefined {
  return qpMtu < 1 || qpMtu > 5 ? undefined : { gid, mac, qpNumber, psn, mtu: qpMtu as MtuCode };
}

function addLink(group: LinkGroup, via: Link, link: Link, response: boolean): AddLink {
  const { own } = link;
  if (own === undefined) throw new Error('a link without queue pair is offered');
  const peerMtu = response ? (link.peer?.mtu ?? own.mtu) : own.mtu;
  return {
    type: 'add-link',
    version: group.version,
    response,
    mac: own.mac,
    gid: own.gid,
    qpNumber: own.qpNumber,
    linkNumber: link.number,
    qpMtu: Math.min(own.mtu, peerMtu),
    psn: own.psn,
    rejected: false,
    rejectReason: 0,
    ...(group.version === 1
      ? {}
      : { extension: { direct: link.direct, targetGid: via.peer?.gid ?? zeros(16), rkeys: rkeysOf(group, via, link) } }),
  };
}

/** Our RMBs, on the link the message travels on and on the new one. */
function rkeysOf(group: LinkGroup, via: Link, link: Link): RkeyOnNewLink[] {
  return group.elements.rmbs.all.flatMap((rmb) => {
    const here = rmb.rkeys.get(via);
    const there = rmb.rkeys.get(link);
    return rmb.confirmed && here !== undefined && there !== undefined
      ? [{ rkey: here.rkey, newRkey: there.rkey, newAddress: there.address }]
      : [];
  });
}

/** The peer's RMBs on the new link; what it never told of before is not ours to know. */
function learn(group: LinkGroup, via: Link, link: Link, rkeys: readonly RkeyOnNewLink[] | undefined): void {
  for (const { rkey, newRkey, newAddress } of rkeys ?? []) group.rtokens.extend(via, rkey, link, { rkey: newRkey, address: newAddress });
}

/** Version 1, server: two RMBs of ours, two of the client's, and again. */
function tellRkeys(group: LinkGroup, via: Link, link: Link, told: number, done: (all: boolean) => void): void {
  const left = sendRkeys(group, via, link, told, false);
  group.expect('add-link-continue', via, LLC_WAIT, (reply) => {
    if (reply?.type !== 'add-link-continue') return done(false);
    learn(group, via, link, reply.rkeys);
    if (left > 0 || reply.remaining > reply.rkeys.length) tellRkeys(group, via, link, told + RKEYS_PER_CONTINUE, done);
    else done(true);
  });
}

/** Version 1, client: the same in answers. */
function hearRkeys(group: LinkGroup, via: Link, link: Link, told: number, done: (all: boolean) => void): void {
  group.expect('add-link-continue', via, LLC_WAIT, (asked) => {
    if (asked?.type !== 'add-link-continue') return done(false);
    learn(group, via, link, asked.rkeys);
    const left = sendRkeys(group, via, link, told, true);
    if (left > 0 || asked.remaining > asked.rkeys.length) hearRkeys(group, via, link, told + RKEYS_PER_CONTINUE, done);
    else done(true);
  });
}

/** Returns how many are left to tell afterwards. */
function sendRkeys(group: LinkGroup, via: Link, link: Link, told: number, response: boolean): number {
  const left = rkeysOf(group, via, link).slice(told);
  const rkeys = left.slice(0, RKEYS_PER_CONTINUE);
  group.send(via, { type: 'add-link-continue', version: 1, response, linkNumber: link.number, remaining: left.length, rkeys });
  return left.length - rkeys.length;
}
