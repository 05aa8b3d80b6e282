// header.ts - what all CLC messages share: the header before, the trailer behind, and how long a message may be.
//
//   +0  4  eyecatcher, "SMCR" or "SMCD" in EBCDIC
//   +4  1  type
//   +5  2  length of the whole message
//   +7  1  bits 7-4 version; bits 3-0 depend on the type
//   ...
//   -4  4  the same eyecatcher again
//
// RFC 7609 appendix A.1; SMCv2.1 added the "SMCD" eyecatcher and the types in bits 3-0.

import { FieldWriter, malformed } from './fields.js';
import type { ClcMessage, ClcPath, ClcVersion } from './messages.js';

export const HEADER_LENGTH = 8;
export const TRAILER_LENGTH = 4;

const TYPE_CODES = { proposal: 1, accept: 2, confirm: 3, decline: 4 } as const;
const TYPES = ['proposal', 'accept', 'confirm', 'decline'] as const;
const EYECATCHERS: { readonly [path in ClcPath]: readonly number[] } = {
  smcr: [0xe2, 0xd4, 0xc3, 0xd9],
  smcd: [0xe2, 0xd4, 0xc3, 0xc4],
};

/** In Accept and Confirm: first contact. In Decline: out of sync. */
export const FLAG = 0x08;

/** How often a repeated part may occur. The first three are what Linux takes, the last is what a byte can count. */
export const LIMITS = { ipv6Prefixes: 8, ueids: 8, ismGids: 8, linkGids: 255 } as const;

/** The longest message there is: a first-contact Confirm that lists as many GIDs as it can count. */
export const CLC_MAX_LENGTH = 164 + 16 * LIMITS.linkGids;
/** The shortest: a Decline of version 1. */
export const CLC_MIN_LENGTH = 28;

export interface ClcHeader {
  readonly type: ClcMessage['type'];
  readonly path: ClcPath;
  readonly length: number;
  readonly version: ClcVersion;
  /** Bits 3-0 of the last byte. */
  readonly flags: number;
}

/** Whether bytes begin with an eyecatcher: yes, no, or too few of them to tell. */
export function startsLikeClc(bytes: Uint8Array): 'yes' | 'no' | 'more' {
  if (eyecatcherMismatch(bytes, 0) !== undefined) return 'no';
  return bytes.length >= 4 ? 'yes' : 'more';
}

/**
 * Reads as much of the header as is there.
 *
 * @returns undefined when bytes are missing.
 * @throws SmcError `ERR_SMC_CLC` as soon as the bytes that are there cannot begin a message.
 */
export function readHeader(bytes: Uint8Array): ClcHeader | undefined {
  const mismatch = eyecatcherMismatch(bytes, 0);
  if (mismatch !== undefined) throw malformed('no eyecatcher', mismatch);
  const typeCode = bytes[4] ?? TYPE_CODES.proposal;
  const type = TYPES[typeCode - 1];
  if (type === undefined) throw malformed(`unknown type ${typeCode}`, 4);
  // A length far beyond the maximum shows in its first byte.
  if ((bytes[5] ?? 0) * 256 > CLC_MAX_LENGTH) throw malformed('length above the maximum', 5);
  if (bytes.length < 7) return undefined;
  const length = (bytes[5] as number) * 256 + (bytes[6] as number);
  if (length < CLC_MIN_LENGTH || length > CLC_MAX_LENGTH) throw malformed(`length ${length} that no message has`, 5);
  if (bytes.length < HEADER_LENGTH) return undefined;

  const last = bytes[7] as number;
  const version = last >> 4;
  if (version !== 1 && version !== 2) throw malformed(`unknown version ${version}`, 7);
  const header = { type, path: pathAt(bytes, 0), length, version, flags: last & 0x0f } as const;
  const [low, high] = lengthRange(header);
  if (length < low || length > high) {
    throw malformed(`length ${length} of a ${type} that takes ${low === high ? low : `${low} to ${high}`}`, 5);
  }
  return header;
}

/** The trailer must repeat the header's eyecatcher. `bytes` is the whole message. */
export function checkTrailer(bytes: Uint8Array, path: ClcPath): void {
  const offset = bytes.length - TRAILER_LENGTH;
  const wrong = EYECATCHERS[path].findIndex((byte, i) => bytes[offset + i] !== byte);
  if (wrong !== -1) throw malformed('no eyecatcher in the trailer', offset + wrong);
}

/** A message of `length` bytes with header and trailer in place, the rest zero. */
export function writeFrame(type: ClcMessage['type'], path: ClcPath, version: ClcVersion, length: number, flags: number): FieldWriter {
  const writer = new FieldWriter(length);
  const { message } = writer;
  message.set(EYECATCHERS[path], 0);
  writer.uint(4, 1, TYPE_CODES[type], 'type');
  writer.uint(5, 2, length, 'length');
  writer.uint(7, 1, version * 16 + flags, 'version');
  message.set(EYECATCHERS[path], length - TRAILER_LENGTH);
  return writer;
}

/** How long a message with this header can be, its repeated parts not being known yet. */
function lengthRange({ type, path, version, flags }: Omit<ClcHeader, 'length'>): readonly [low: number, high: number] {
  if (type === 'decline') return version === 1 ? [28, 28] : [44, 44];
  if (type === 'proposal') {
    const prefixes = 17 * LIMITS.ipv6Prefixes;
    if (version === 1) return [52, 40 + 40 + 8 + prefixes + 4];
    return [84, 40 + 40 + 8 + prefixes + 40 + 32 * LIMITS.ueids + 48 + 10 * LIMITS.ismGids + 4];
  }
  const firstContact = (flags & FLAG) !== 0;
  if (path === 'smcd') return version === 1 ? [48, 48] : firstContact ? [114, 130] : [78, 78];
  if (version === 1) return [68, 68];
  if (!firstContact) return [108, 108];
  return type === 'accept' ? [160, 160] : [164, CLC_MAX_LENGTH];
}

/** Offset of the first byte that is in no eyecatcher, undefined while all fit. */
function eyecatcherMismatch(bytes: Uint8Array, offset: number): number | undefined {
  const end = Math.min(4, bytes.length - offset);
  for (let i = 0; i < end; i++) {
    const byte = bytes[offset + i];
    if (byte !== EYECATCHERS.smcr[i] && byte !== EYECATCHERS.smcd[i]) return offset + i;
  }
  return undefined;
}

function pathAt(bytes: Uint8Array, offset: number): ClcPath {
  return bytes[offset + 3] === EYECATCHERS.smcd[3] ? 'smcd' : 'smcr';
}
