// proposal.ts - CLC Proposal: the client's offer (RFC 7609 appendix A.2, extended by SMCv2.1).
//
//   +8   8  peer id                                  extension, counted from its start:
//   +16 16  RoCEv1 GID                               +0   1  number of UEIDs
//   +32  6  MAC                                      +1   1  number of ISM entries
//   +38  2  IP area, counted from +40                +3   1  bits 7-4 release, bit 0 "has a system EID"
//   +40  8  ISM GID of SMC-Dv1   \                   +6   2  SMC-D extension, counted from +8
//   +48  2  CHID of SMC-Dv1       |                  +8  16  RoCEv2 GID
//   +50  2  extension, from +52   | SMC-D area       +24  1  max connections
//   +52  3  vendor OUI            |                  +25  1  max links
//   +55  5  vendor options        |                  +26  2  features
//   +60 20  reserved             /                   +40     UEIDs, 32 each
//   [    8  IPv4 prefix 4, bits 1, reserved 2,       SMC-D extension:
//           number of IPv6 prefixes 1                +0  32  system EID
//        17  per IPv6 prefix: 16, bits 1 ]           +48     per ISM entry: GID 8, CHID 2
//   [       extension ]
//   end  4  trailer
//
// The IP area is there if version 1 is offered. The parts sit back to back, so every offset has one possible value. The
// classic message of version 1 has no SMC-D area: its IP area offset is 0.

import { type FieldReader, type FieldWriter, malformed, mustBeWithin, unencodable } from './fields.js';
import { type ClcHeader, LIMITS, TRAILER_LENGTH, writeFrame } from './header.js';
import type { ClcIsmGid, ClcOffer, ClcPrefix, ClcProposal, ClcProposalExtension } from './messages.js';

const OFFERS = ['smcr', 'smcd', 'none', 'both'] as const;
const AREA = 40;
const AREA_LENGTH = 40;
const IP_LENGTH = 8;
const IPV6_LENGTH = 17;
const EXTENSION_LENGTH = 40;
const EID_LENGTH = 32;
const SMCD_LENGTH = 48;
const ISM_LENGTH = 10;

const offersSmcd = (offer: ClcOffer): boolean => offer === 'smcd' || offer === 'both';

export function encodeProposal(message: ClcProposal): Uint8Array {
  const { version, v1, v2, extension, ipv6Prefixes } = message;
  mustBeConsistent(message);
  const hasArea = version === 2 || offersSmcd(v1) || areaHasContent(message);
  const ipAt = AREA + (hasArea ? AREA_LENGTH : 0);
  const extensionAt = ipAt + (v1 === 'none' ? 0 : IP_LENGTH + IPV6_LENGTH * ipv6Prefixes.length);
  const end = extensionAt + (extension === undefined ? 0 : extensionLength(extension));

  const flags = OFFERS.indexOf(v1) | (version === 1 ? 0 : OFFERS.indexOf(v2) << 2);
  const out = writeFrame('proposal', message.path, version, end + TRAILER_LENGTH, flags);
  out.bytes(8, 8, message.peerId, 'peerId');
  out.bytes(16, 16, message.roceV1Gid, 'roceV1Gid');
  out.bytes(32, 6, message.mac, 'mac');
  if (v1 !== 'none') {
    out.uint(38, 2, ipAt - AREA, 'IP area offset');
    putIpArea(out, ipAt, message);
  }
  if (hasArea) {
    putIsmGid(out, 40, message.smcdV1, 'smcdV1');
    if (message.vendorOui !== undefined) out.bytes(52, 3, message.vendorOui, 'vendorOui');
    if (message.vendorOptions !== undefined) out.bytes(55, 5, message.vendorOptions, 'vendorOptions');
  }
  if (extension !== undefined) {
    out.uint(50, 2, extensionAt - 52, 'extension offset');
    putExtension(out, extensionAt, extension);
  }
  return out.message;
}

export function decodeProposal(header: ClcHeader, fields: FieldReader): ClcProposal {
  const { version, length, flags } = header;
  const v1 = OFFERS[flags & 3] as ClcOffer;
  const v2 = version === 1 ? 'none' : (OFFERS[flags >> 2] as ClcOffer);
  if (version === 1 && v1 === 'none') throw malformed('a Proposal of version 1 that offers nothing', 7);
  const ipOffset = fields.uint(38, 2);
  // Where version 1 is not offered the offset has no meaning; Linux sends 0.
  if (v1 !== 'none' && ipOffset !== AREA_LENGTH && (ipOffset !== 0 || version === 2 || offersSmcd(v1))) {
    throw malformed(`IP area offset ${ipOffset}`, 38);
  }
  const hasArea = version === 2 || ipOffset !== 0;
  const ipAt = AREA + (hasArea ? AREA_LENGTH : 0);
  const ip = v1 === 'none' ? { ipv6Prefixes: [] } : getIpArea(fields, ipAt);
  const extensionAt = ipAt + (v1 === 'none' ? 0 : IP_LENGTH + IPV6_LENGTH * ip.ipv6Prefixes.length);
  const extension = v2 === 'none' ? undefined : getExtension(fields, extensionAt, v2);
  const end = extensionAt + (extension === undefined ? 0 : extensionLength(extension));
  if (end + TRAILER_LENGTH !== length) throw malformed(`length ${length} of parts that take ${end + TRAILER_LENGTH}`, 5);

  const vendorOui = hasArea ? fields.bytesIfAny(52, 3) : undefined;
  const vendorOptions = hasArea ? fields.bytesIfAny(55, 5) : undefined;
  return {
    type: 'proposal',
    path: header.path,
    version,
    v1,
    v2,
    peerId: fields.bytes(8, 8),
    roceV1Gid: fields.bytes(16, 16),
    mac: fields.bytes(32, 6),
    ...ip,
    smcdV1: hasArea ? getIsmGid(fields, 40) : { gid: 0n, chid: 0 },
    ...(vendorOui === undefined ? {} : { vendorOui }),
    ...(vendorOptions === undefined ? {} : { vendorOptions }),
    ...(extension === undefined ? {} : { extension }),
  };
}

/** What the types cannot say: which parts belong to which offer. */
function mustBeConsistent({ version, v1, v2, extension, ipv4Prefix, ipv6Prefixes }: ClcProposal): void {
  if (!OFFERS.includes(v1) || !OFFERS.includes(v2)) throw unencodable('v1 and v2 must be smcr, smcd, none or both');
  if (version === 1 && (v1 === 'none' || v2 !== 'none')) throw unencodable('a Proposal of version 1 offers v1 and no v2');
  if (v1 === 'none' && (ipv4Prefix !== undefined || ipv6Prefixes.length > 0)) throw unencodable('prefixes without v1');
  if ((v2 === 'none') !== (extension === undefined)) throw unencodable('the extension goes with v2');
  if (extension !== undefined && offersSmcd(v2) !== (extension.smcd !== undefined)) {
    throw unencodable('the SMC-D extension goes with SMC-D in v2');
  }
  mustBeWithin('number of ipv6Prefixes', ipv6Prefixes.length, 0, LIMITS.ipv6Prefixes);
  mustBeWithin('number of ueids', extension?.ueids.length ?? 0, 0, LIMITS.ueids);
  mustBeWithin('number of gids', extension?.smcd?.gids.length ?? 0, 0, LIMITS.ismGids);
}

function areaHasContent({ smcdV1, vendorOui, vendorOptions }: ClcProposal): boolean {
  return smcdV1.gid !== 0n || smcdV1.chid !== 0 || vendorOui !== undefined || vendorOptions !== undefined;
}

function extensionLength({ ueids, smcd }: ClcProposalExtension): number {
  return EXTENSION_LENGTH + EID_LENGTH * ueids.length + (smcd === undefined ? 0 : SMCD_LENGTH + ISM_LENGTH * smcd.gids.length);
}

function putIpArea(out: FieldWriter, at: number, { ipv4Prefix, ipv6Prefixes }: ClcProposal): void {
  if (ipv4Prefix !== undefined) putPrefix(out, at, 4, ipv4Prefix, 'ipv4Prefix');
  out.uint(at + 7, 1, ipv6Prefixes.length, 'number of ipv6Prefixes');
  ipv6Prefixes.forEach((prefix, i) => {
    putPrefix(out, at + IP_LENGTH + IPV6_LENGTH * i, 16, prefix, 'ipv6Prefixes');
  });
}

function getIpArea(fields: FieldReader, at: number): Pick<ClcProposal, 'ipv4Prefix' | 'ipv6Prefixes'> {
  const count = fields.uint(at + 7, 1);
  if (count > LIMITS.ipv6Prefixes) throw malformed(`${count} IPv6 prefixes`, at + 7);
  const ipv4Prefix = getPrefix(fields, at, 4);
  const ipv6Prefixes = Array.from({ length: count }, (_, i) => getPrefix(fields, at + IP_LENGTH + IPV6_LENGTH * i, 16));
  const isEmpty = ipv4Prefix.length === 0 && ipv4Prefix.prefix.every((byte) => byte === 0);
  return isEmpty ? { ipv6Prefixes } : { ipv4Prefix, ipv6Prefixes };
}

function putPrefix(out: FieldWriter, at: number, width: 4 | 16, { prefix, length }: ClcPrefix, name: string): void {
  mustBeWithin(`length in ${name}`, length, 0, 8 * width);
  out.bytes(at, width, prefix, name);
  out.uint(at + width, 1, length, name);
}

function getPrefix(fields: FieldReader, at: number, width: 4 | 16): ClcPrefix {
  const length = fields.uint(at + width, 1);
  if (length > 8 * width) throw malformed(`a prefix of ${length} bits`, at + width);
  return { prefix: fields.bytes(at, width), length };
}

function putIsmGid(out: FieldWriter, at: number, { gid, chid }: ClcIsmGid, name: string): void {
  out.uint64(at, gid, `gid in ${name}`);
  out.uint(at + 8, 2, chid, `chid in ${name}`);
}

function getIsmGid(fields: FieldReader, at: number): ClcIsmGid {
  return { gid: fields.uint64(at), chid: fields.uint(at + 8, 2) };
}

function putExtension(out: FieldWriter, at: number, extension: ClcProposalExtension): void {
  const { ueids, smcd } = extension;
  const smcdAt = at + EXTENSION_LENGTH + EID_LENGTH * ueids.length;
  out.uint(at, 1, ueids.length, 'number of ueids');
  mustBeWithin('release', extension.release, 0, 15);
  out.uint(at + 3, 1, (extension.release << 4) | (extension.seidPresent ? 1 : 0), 'release');
  out.bytes(at + 8, 16, extension.roceV2Gid, 'roceV2Gid');
  out.uint(at + 24, 1, extension.maxConns, 'maxConns');
  out.uint(at + 25, 1, extension.maxLinks, 'maxLinks');
  out.uint(at + 26, 2, extension.features, 'features');
  ueids.forEach((eid, i) => {
    out.text(at + EXTENSION_LENGTH + EID_LENGTH * i, eid, 'ueids');
  });
  if (smcd === undefined) return;
  out.uint(at + 1, 1, smcd.gids.length, 'number of gids');
  out.uint(at + 6, 2, smcdAt - (at + 8), 'SMC-D extension offset');
  out.text(smcdAt, smcd.seid, 'seid');
  smcd.gids.forEach((entry, i) => {
    putIsmGid(out, smcdAt + SMCD_LENGTH + ISM_LENGTH * i, entry, 'gids');
  });
}

function getExtension(fields: FieldReader, at: number, v2: ClcOffer): ClcProposalExtension {
  const offset = fields.uint(50, 2);
  if (offset !== at - 52) throw malformed(`extension offset ${offset}`, 50);
  const ueidCount = fields.uint(at, 1);
  if (ueidCount > LIMITS.ueids) throw malformed(`${ueidCount} UEIDs`, at);
  const flags = fields.uint(at + 3, 1);
  const extension = {
    ueids: Array.from({ length: ueidCount }, (_, i) => fields.text(at + EXTENSION_LENGTH + EID_LENGTH * i)),
    release: flags >> 4,
    seidPresent: (flags & 1) !== 0,
    roceV2Gid: fields.bytes(at + 8, 16),
    maxConns: fields.uint(at + 24, 1),
    maxLinks: fields.uint(at + 25, 1),
    features: fields.uint(at + 26, 2),
  };
  if (!offersSmcd(v2)) return extension;

  const smcdAt = at + EXTENSION_LENGTH + EID_LENGTH * ueidCount;
  const smcdOffset = fields.uint(at + 6, 2);
  if (smcdOffset !== smcdAt - (at + 8)) throw malformed(`SMC-D extension offset ${smcdOffset}`, at + 6);
  const gidCount = fields.uint(at + 1, 1);
  if (gidCount > LIMITS.ismGids) throw malformed(`${gidCount} ISM entries`, at + 1);
  const gids = Array.from({ length: gidCount }, (_, i) => getIsmGid(fields, smcdAt + SMCD_LENGTH + ISM_LENGTH * i));
  return { smcd: { seid: fields.text(smcdAt), gids }, ...extension };
}
