// first-contact.ts - the extension of a version 2 Accept or Confirm that founds a link group (SMCv2.1).
//
//   +0   1  bit 7: the peers share a subnet (SMC-R)
//   +1   1  bits 7-4 operating system, 3-0 release
//   +2   2  reserved
//   +4  32  hostname
//   +36  1  max connections   \
//   +37  1  max links          |  not in SMC-D of release 0
//   +38  2  features           |
//   +40  4  vendor options     |
//   +44  8  reserved          /
//   +52  1  number of GIDs    \
//   +53  3  reserved           |  SMC-R Confirm only
//   +56 16  per GID           /

import { type FieldReader, type FieldWriter, mustBeWithin, unencodable } from './fields.js';
import { LIMITS } from './header.js';
import type { ClcFirstContact, ClcPath } from './messages.js';

type Answer = 'accept' | 'confirm';
const BASE = 36;
const FULL = 52;
const GIDS = 4;
const GID = 16;

const hasLimits = (path: ClcPath, release: number): boolean => path === 'smcr' || release > 0;
const hasGids = (type: Answer, path: ClcPath): boolean => path === 'smcr' && type === 'confirm';

export function firstContactLength(type: Answer, path: ClcPath, { release, gids }: ClcFirstContact): number {
  if (!hasLimits(path, release)) return BASE;
  return FULL + (hasGids(type, path) ? GIDS + GID * gids.length : 0);
}

export function putFirstContact(out: FieldWriter, at: number, type: Answer, path: ClcPath, extension: ClcFirstContact): void {
  const { os, release, maxConns, maxLinks, features, vendorOptions, gids } = extension;
  out.uint(at, 1, extension.direct ? 0x80 : 0, 'direct');
  mustBeWithin('os', os, 0, 15);
  mustBeWithin('release', release, 0, 15);
  out.uint(at + 1, 1, (os << 4) | release, 'os');
  out.text(at + 4, extension.hostname, 'hostname');
  if (!hasLimits(path, release)) {
    if (maxConns !== 0 || maxLinks !== 0 || features !== 0 || vendorOptions !== undefined) {
      throw unencodable('SMC-D of release 0 has no limits, features and vendor options');
    }
  } else {
    out.uint(at + 36, 1, maxConns, 'maxConns');
    out.uint(at + 37, 1, maxLinks, 'maxLinks');
    out.uint(at + 38, 2, features, 'features');
    if (vendorOptions !== undefined) out.bytes(at + 40, 4, vendorOptions, 'vendorOptions');
  }
  if (!hasGids(type, path)) {
    if (gids.length > 0) throw unencodable('only a Confirm of SMC-R lists GIDs');
    return;
  }
  mustBeWithin('number of gids', gids.length, 0, LIMITS.linkGids);
  out.uint(at + FULL, 1, gids.length, 'number of gids');
  gids.forEach((gid, i) => {
    out.bytes(at + FULL + GIDS + GID * i, GID, gid, 'gids');
  });
}

export function getFirstContact(fields: FieldReader, at: number, type: Answer, path: ClcPath): ClcFirstContact {
  const osAndRelease = fields.uint(at + 1, 1);
  const release = osAndRelease & 0x0f;
  const base = {
    direct: (fields.uint(at, 1) & 0x80) !== 0,
    os: osAndRelease >> 4,
    release,
    hostname: fields.text(at + 4),
  };
  if (!hasLimits(path, release)) return { ...base, maxConns: 0, maxLinks: 0, features: 0, gids: [] };
  const vendorOptions = fields.bytesIfAny(at + 40, 4);
  const count = hasGids(type, path) ? fields.uint(at + FULL, 1) : 0;
  return {
    ...base,
    maxConns: fields.uint(at + 36, 1),
    maxLinks: fields.uint(at + 37, 1),
    features: fields.uint(at + 38, 2),
    ...(vendorOptions === undefined ? {} : { vendorOptions }),
    gids: Array.from({ length: count }, (_, i) => fields.bytes(at + FULL + GIDS + GID * i, GID)),
  };
}
