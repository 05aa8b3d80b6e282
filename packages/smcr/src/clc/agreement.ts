// agreement.ts - what client and server agree on in CLC: the Proposal of a client, and a server's choice from one (RFC 7609 section
// 3.1; SMCv2.1 as Linux speaks it, version 1 understood). Pure.
//
// Version 2 wins where both offer it: first EID of the Proposal that the server has, the smaller release and limits.

import type { ClcPrefix, ClcProposal } from '@smcjs/core/backend';
import type { LlcVersion } from '../llc/index.js';

/** Diagnosis codes for Decline: the rows of `REASONS` in @smcjs/core with these codes. */
export const DIAGNOSIS = {
  noMemory: 0x01010000,
  noV2Extension: 0x03030004,
  noUeid: 0x03030008,
  release: 0x03030009,
  maxConns: 0x0303000a,
  maxLinks: 0x0303000b,
  modesDiffer: 0x03040000,
  subnet: 0x03070000,
  noActiveLink: 0x030a0000,
  noServerLink: 0x030b0000,
  version: 0x030c0000,
  noRoute: 0x030e0000,
  outOfSync: 0x04000000,
  rtoken: 0x09990001,
  internal: 0x09990000,
} as const;

/** What one end offers and accepts. */
export interface LocalTerms {
  /** 8 bytes: 2 random ones of this peer (an event loop), then a MAC. Never the same for two peers of one host. */
  readonly peerId: Uint8Array;
  /** RoCEv2 GID of the first link's device, 16 bytes. */
  readonly gid: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** User EIDs, one at least. */
  readonly ueids: readonly string[];
  /** 16 to 255. */
  readonly maxConns: number;
  /** 1 or 2. With 2 this end has to do ADD LINK. */
  readonly maxLinks: number;
  /** Only where RoCEv1 is there too: its GID, and the subnets of this host for the check that both ends share one. */
  readonly v1?: { readonly gid: Uint8Array; readonly ipv4?: ClcPrefix; readonly ipv6: readonly ClcPrefix[] };
}

export interface Agreement {
  readonly version: LlcVersion;
  /** '' in version 1. */
  readonly eid: string;
  readonly release: number;
  readonly maxConns: number;
  readonly maxLinks: number;
}

/** We speak 2.1. */
const RELEASE = 1;
/** What version 1 and release 0, which do not tell, mean. */
const UNTOLD = { maxConns: 255, maxLinks: 2 } as const;
const LEAST_CONNS = 16;
/** Bit 0: emulated ISM, as Linux says in SMC-R, too. */
const FEATURES = 1;

export function smcrProposal(local: LocalTerms): ClcProposal {
  const { v1 } = local;
  return {
    type: 'proposal',
    path: 'smcr',
    version: 2,
    v1: v1 === undefined ? 'none' : 'smcr',
    v2: 'smcr',
    peerId: local.peerId,
    roceV1Gid: v1?.gid ?? new Uint8Array(16),
    mac: local.mac,
    ...(v1?.ipv4 === undefined ? {} : { ipv4Prefix: v1.ipv4 }),
    ipv6Prefixes: v1?.ipv6 ?? [],
    smcdV1: { gid: 0n, chid: 0 },
    extension: {
      ueids: local.ueids,
      release: RELEASE,
      seidPresent: false,
      roceV2Gid: local.gid,
      maxConns: local.maxConns,
      maxLinks: local.maxLinks,
      features: FEATURES,
    },
  };
}

/** The server's choice: an agreement, or the diagnosis to decline with. Equal arguments give equal results. */
export function choose(proposal: ClcProposal, local: LocalTerms): Agreement | number {
  const offers = (offer: ClcProposal['v1']): boolean => offer === 'smcr' || offer === 'both';
  const second = offers(proposal.v2) ? chooseV2(proposal, local) : DIAGNOSIS.modesDiffer;
  if (typeof second !== 'number' || !offers(proposal.v1)) return second;
  const first = chooseV1(proposal, local);
  // The reason version 2 was not possible says more.
  return typeof first === 'number' && offers(proposal.v2) ? second : first;
}

function chooseV2({ extension }: ClcProposal, local: LocalTerms): Agreement | number {
  if (extension === undefined) return DIAGNOSIS.noV2Extension;
  const eid = extension.ueids.find((it) => local.ueids.includes(it));
  if (eid === undefined) return DIAGNOSIS.noUeid;
  const release = Math.min(extension.release, RELEASE);
  const told = release === 0 ? UNTOLD : extension;
  const maxConns = Math.min(told.maxConns, local.maxConns);
  if (maxConns < LEAST_CONNS) return DIAGNOSIS.maxConns;
  const maxLinks = Math.min(told.maxLinks, local.maxLinks);
  if (maxLinks < 1) return DIAGNOSIS.maxLinks;
  return { version: 2, eid, release, maxConns, maxLinks };
}

function chooseV1({ ipv4Prefix, ipv6Prefixes }: ClcProposal, { v1, ...local }: LocalTerms): Agreement | number {
  if (v1 === undefined) return DIAGNOSIS.version;
  const same = (a: ClcPrefix, b: ClcPrefix): boolean => a.length === b.length && Buffer.compare(a.prefix, b.prefix) === 0;
  const shared =
    (ipv4Prefix !== undefined && v1.ipv4 !== undefined && same(ipv4Prefix, v1.ipv4)) ||
    ipv6Prefixes.some((theirs) => v1.ipv6.some((ours) => same(theirs, ours)));
  if (!shared) return DIAGNOSIS.subnet;
  return { version: 1, eid: '', release: 0, maxConns: local.maxConns, maxLinks: Math.min(UNTOLD.maxLinks, local.maxLinks) };
}
