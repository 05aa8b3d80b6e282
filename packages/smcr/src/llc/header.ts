// header.ts - what all LLC messages share (RFC 7609 appendix A.3; version 2 as Linux speaks it).
//
//   version 1                                  version 2
//   +0  1  type, 1..9                          +0  1  type + 0x20
//   +1  1  length, 44                          +1  2  length, in the byte order of the sender
//   +2  1  bits 3-0: ADD LINK reject reason
//   +3  1  flags, 0x80 response                +3  1  flags, 0x80 response
//
// The byte order of a version 2 message follows from its length, which has only one sensible reading; the number of rkeys in
// ADD LINK is in the same order. Messages are sent in the order of this machine, as Linux does.

import { endianness } from 'node:os';
import { type LlcReader, LlcWriter, malformed, mustBeWithin } from './bytes.js';
import type { LlcVersion } from './messages.js';

/** Bytes of the shortest message, and of every one without a list of its own. */
export const LLC_LENGTH = 44;
/** The longest that Linux sends or takes. */
export const LLC_MAX_LENGTH = 8192;

export const LLC_TYPE = {
  confirmLink: 1,
  addLink: 2,
  addLinkContinue: 3,
  deleteLink: 4,
  requestAddLink: 5,
  confirmRkey: 6,
  testLink: 7,
  confirmRkeyContinue: 8,
  deleteRkey: 9,
} as const;

const V2 = 0x20;
const RESPONSE = 0x80;

/** The byte order of this machine. */
export const LITTLE_ENDIAN = endianness() === 'LE';

export interface LlcHeader {
  /** One of {@link LLC_TYPE}, or a number there is no message for. */
  readonly type: number;
  readonly version: LlcVersion;
  readonly response: boolean;
  /** Bits 6-0 of the flags. */
  readonly flags: number;
  /** Byte order of the sender, version 2 only. */
  readonly littleEndian: boolean;
}

/** @throws SmcError `ERR_SMC_LLC` when it is too short or its length cannot be. */
export function readHeader(fields: LlcReader): LlcHeader {
  if (fields.length < LLC_LENGTH) throw malformed(`${fields.length} bytes, fewer than ${LLC_LENGTH}`, 0);
  const code = fields.uint(0, 1);
  const flags = fields.uint(3, 1);
  const common = { response: (flags & RESPONSE) !== 0, flags: flags & ~RESPONSE };
  if ((code & 0xf0) !== V2) {
    const length = fields.uint(1, 1);
    // What is no message of ours has a length that means nothing here.
    if (isKnown(code) && length !== LLC_LENGTH) throw malformed(`length ${length}`, 1);
    return { type: code, version: 1, littleEndian: LITTLE_ENDIAN, ...common };
  }
  const fits = (little: boolean): boolean => {
    const length = fields.uint16(1, little);
    return length >= LLC_LENGTH && length <= fields.length;
  };
  const littleEndian = fits(LITTLE_ENDIAN) ? LITTLE_ENDIAN : !LITTLE_ENDIAN;
  if (!fits(littleEndian)) throw malformed(`length ${fields.uint16(1, LITTLE_ENDIAN)} of ${fields.length} bytes`, 1);
  return { type: code - V2, version: 2, littleEndian, ...common };
}

/** A message with its header in place, the rest zero. */
export function writeFrame(
  type: number,
  { version, response }: { readonly version: LlcVersion; readonly response: boolean },
  flags: number,
  length = LLC_LENGTH,
): LlcWriter {
  mustBeWithin('version', version, 1, 2);
  mustBeWithin('length', length, LLC_LENGTH, version === 1 ? LLC_LENGTH : LLC_MAX_LENGTH);
  const out = new LlcWriter(length);
  out.uint(0, 1, version === 1 ? type : type + V2, 'type');
  if (version === 1) out.uint(1, 1, length, 'length');
  else out.uint16(1, length, LITTLE_ENDIAN, 'length');
  out.uint(3, 1, flags | (response ? RESPONSE : 0), 'flags');
  return out;
}

function isKnown(type: number): boolean {
  return type >= LLC_TYPE.confirmLink && type <= LLC_TYPE.deleteRkey;
}
