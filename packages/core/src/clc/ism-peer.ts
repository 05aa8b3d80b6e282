// ism-peer.ts - an event loop as an emulated ISM device, whose 128-bit GID is the loop's instance id: its Proposal, Accept
// and Confirm, and what is checked in the peer's. Tokens are told on the backend's own path first: a CLC message that repeats one proves that both are the same peer.

import { ismDevices, ismGidEntries } from './ism-gid.js';
import { CLC_SIZE_UNIT, type ClcAcceptConfirmD, type ClcProposal } from './messages.js';

/** Our channel id, from the range of emulated devices. */
const CHID = 0xff5c;
const UEID = 'SMCJS';

const halves = (instance: Buffer) => ({ gid: instance.readBigUInt64BE(0), gidExt: instance.readBigUInt64BE(8) });

export function proposalOf(instance: Buffer): ClcProposal {
  return {
    type: 'proposal',
    path: 'smcd',
    version: 2,
    v1: 'none',
    v2: 'smcd',
    peerId: instance.subarray(0, 8),
    roceV1Gid: new Uint8Array(16),
    mac: new Uint8Array(6),
    ipv6Prefixes: [],
    smcdV1: { gid: 0n, chid: 0 },
    extension: {
      ueids: [UEID],
      release: 1,
      seidPresent: false,
      roceV2Gid: new Uint8Array(16),
      maxConns: 0,
      maxLinks: 0,
      features: 1,
      smcd: { seid: '', gids: ismGidEntries([{ chid: CHID, ...halves(instance) }]) },
    },
  };
}

/** Does a Proposal come from this instance and offer what we speak? */
export function isProposalOf(proposal: ClcProposal, instance: Buffer): boolean {
  const extension = proposal.extension;
  if (extension?.smcd === undefined || !extension.ueids.includes(UEID)) return false;
  const { gid, gidExt } = halves(instance);
  try {
    return ismDevices(extension.smcd.gids).some((device) => device.gid === gid && device.gidExt === gidExt && device.chid === CHID);
  } catch {
    return false; // half a GID
  }
}

export interface DmbParts {
  readonly instance: Buffer;
  readonly token: bigint;
  readonly capacity: number;
  readonly linkId: number;
}

export function acceptConfirmOf(type: 'accept' | 'confirm', { instance, token, capacity, linkId }: DmbParts): ClcAcceptConfirmD {
  return {
    type,
    path: 'smcd',
    version: 2,
    firstContact: false,
    eid: UEID,
    ...halves(instance),
    token,
    dmbeIndex: 0,
    dmbeSizeCode: Math.log2(capacity / CLC_SIZE_UNIT),
    linkId,
    chid: CHID,
  };
}

/** Does an Accept or Confirm name the ring and the instance that we know from the Unix socket? */
export function matches(message: ClcAcceptConfirmD, known: Omit<DmbParts, 'linkId'>): boolean {
  const { gid, gidExt } = halves(known.instance);
  return (
    message.token === known.token &&
    message.gid === gid &&
    message.gidExt === gidExt &&
    message.chid === CHID &&
    CLC_SIZE_UNIT << message.dmbeSizeCode === known.capacity
  );
}
