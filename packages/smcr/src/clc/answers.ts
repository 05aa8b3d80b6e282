// answers.ts - Accept and Confirm of SMC-R: what they say of our link and element, and what is checked in the peer's.

import { CLC_OS, CLC_SIZE_UNIT, type ClcAcceptConfirmR } from '@smcjs/core/backend';
import type { Element, Link, LinkEnd } from '../group/index.js';
import type { MtuCode } from '../verbs-provider.js';
import { type Agreement, DIAGNOSIS, type LocalTerms } from './agreement.js';

/** How a peer's element is written. */
export interface ElementEnd {
  readonly rkey: number;
  /** Of the RMB. */
  readonly address: bigint;
  /** From 1. */
  readonly index: number;
  /** Bytes of one element. */
  readonly size: number;
  /** Alert token of that end. */
  readonly token: number;
}

export interface AnswerParts {
  readonly agreement: Agreement;
  readonly local: Pick<LocalTerms, 'peerId'>;
  readonly link: Link;
  readonly element: Element;
  readonly token: number;
  readonly firstContact: boolean;
  readonly hostname: string;
  /** Confirm: GIDs usable for links, the link's first. */
  readonly gids?: readonly Uint8Array[];
}

/**
 * Our Accept or Confirm. The RMB must have its rkey on the link.
 * @throws Error when it has not, or the link no queue pair.
 */
export function smcrAnswer(type: 'accept' | 'confirm', parts: AnswerParts): ClcAcceptConfirmR {
  const { agreement, link, element, firstContact } = parts;
  const { own, peer } = link;
  const rkey = element.rmb.rkeys.get(link);
  if (own === undefined || rkey === undefined) throw new Error('an answer about a link that is not there');
  const { version, eid, release, maxConns, maxLinks } = agreement;
  const first = { direct: true, os: CLC_OS.linux, release, hostname: parts.hostname.slice(0, 32), features: release === 0 ? 0 : 1 };
  const limits = release === 0 ? { maxConns: 0, maxLinks: 0 } : { maxConns, maxLinks };
  return {
    type,
    path: 'smcr',
    version,
    firstContact,
    peerId: parts.local.peerId,
    gid: own.gid,
    mac: own.mac,
    qpNumber: own.qpNumber,
    rkey: rkey.rkey,
    rmbeIndex: element.index,
    alertToken: parts.token,
    rmbeSizeCode: Math.log2(element.rmb.elementSize / CLC_SIZE_UNIT),
    qpMtu: type === 'accept' || peer === undefined ? own.mtu : Math.min(own.mtu, peer.mtu),
    rmbAddress: rkey.address,
    psn: own.psn,
    eid,
    ...(version === 2 && firstContact
      ? { firstContactExtension: { ...first, ...limits, gids: type === 'confirm' ? (parts.gids ?? [own.gid]) : [] } }
      : {}),
  };
}

export const linkEndOf = ({ gid, mac, qpNumber, psn, qpMtu }: ClcAcceptConfirmR): LinkEnd => ({
  gid,
  mac,
  qpNumber,
  psn,
  mtu: qpMtu as MtuCode,
});

export const elementEndOf = (message: ClcAcceptConfirmR): ElementEnd => ({
  rkey: message.rkey,
  address: message.rmbAddress,
  index: message.rmbeIndex,
  size: CLC_SIZE_UNIT * 2 ** message.rmbeSizeCode,
  token: message.alertToken,
});

/** The client's check of an Accept: what both have agreed on, or the diagnosis to decline with. Later contacts keep what was agreed. */
export function agreedByAccept(accept: ClcAcceptConfirmR, local: LocalTerms): Agreement | number {
  const { version, eid, firstContactExtension: first } = accept;
  if (version === 1) {
    if (local.v1 === undefined) return DIAGNOSIS.version;
    return { version, eid: '', release: 0, maxConns: local.maxConns, maxLinks: Math.min(2, local.maxLinks) };
  }
  if (!local.ueids.includes(eid)) return DIAGNOSIS.noUeid;
  if (first === undefined) return { version, eid, release: 1, maxConns: local.maxConns, maxLinks: local.maxLinks };
  if (!first.direct) return DIAGNOSIS.noRoute;
  if (first.release > 1) return DIAGNOSIS.release;
  if (first.release === 0) return { version, eid, release: 0, maxConns: local.maxConns, maxLinks: local.maxLinks };
  if (first.maxConns < 16 || first.maxConns > local.maxConns) return DIAGNOSIS.maxConns;
  if (first.maxLinks < 1 || first.maxLinks > local.maxLinks) return DIAGNOSIS.maxLinks;
  return { version, eid, release: 1, maxConns: first.maxConns, maxLinks: first.maxLinks };
}

/** The server's check of a Confirm against its Accept: undefined when all is well, else the diagnosis. */
export function confirmMismatch(confirm: ClcAcceptConfirmR, accept: ClcAcceptConfirmR): number | undefined {
  if (confirm.version !== accept.version || confirm.firstContact !== accept.firstContact) return DIAGNOSIS.internal;
  if (confirm.eid !== accept.eid) return DIAGNOSIS.noUeid;
  const said = accept.firstContactExtension;
  const repeated = confirm.firstContactExtension;
  if (said === undefined || repeated === undefined) return undefined;
  if (repeated.release !== said.release) return DIAGNOSIS.release;
  if (repeated.maxConns !== said.maxConns) return DIAGNOSIS.maxConns;
  return repeated.maxLinks === said.maxLinks ? undefined : DIAGNOSIS.maxLinks;
}
