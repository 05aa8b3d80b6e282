// add-link.ts - LLC ADD LINK (type 2): a new link, server to client; the answer takes or rejects it. From a client it is a
// suggestion, without QP.
//
//   +4   6  MAC of the sender's new link           version 2 goes on:
//   +12 16  GID                                    +44  1  bit 7: the peers share a subnet
//   +28  3  QP number                              +46 16  the client's GID that is meant
//   +31  1  link number                            +70  2  number of RMBs, in the byte order of the sender
//   +32  1  bits 3-0 QP MTU                        +72     per RMB: rkey on the link the message travels on 4,
//   +33  3  initial PSN                                    rkey on the new link 4, address on the new link 8
//   flags 0x40: rejected; version 1: why in bits 3-0 of +2

import { type LlcReader, type LlcWriter, malformed, mustBeWithin, unencodable } from './bytes.js';
import { LITTLE_ENDIAN, LLC_LENGTH, LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { AddLink, AddLinkExtension, RkeyOnNewLink } from './messages.js';

const REJECTED = 0x40;
const LIST_AT = 72;
/** Bytes of one RMB; also in ADD LINK CONTINUE. */
export const RKEY_LENGTH = 16;

export function encodeAddLink(message: AddLink): Uint8Array {
  const { version, extension } = message;
  if (version === 1 && extension !== undefined) throw unencodable('the extension needs version 2');
  const length = extension === undefined ? LLC_LENGTH : LIST_AT + RKEY_LENGTH * extension.rkeys.length;
  const out = writeFrame(LLC_TYPE.addLink, message, message.rejected ? REJECTED : 0, length);
  mustBeWithin('rejectReason', message.rejectReason, 0, version === 1 ? 15 : 0);
  if (version === 1) out.uint(2, 1, message.rejectReason, 'rejectReason');
  out.bytes(4, 6, message.mac, 'mac');
  out.bytes(12, 16, message.gid, 'gid');
  out.uint(28, 3, message.qpNumber, 'qpNumber');
  out.uint(31, 1, message.linkNumber, 'linkNumber');
  mustBeWithin('qpMtu', message.qpMtu, 0, 15);
  out.uint(32, 1, message.qpMtu, 'qpMtu');
  out.uint(33, 3, message.psn, 'psn');
  if (extension !== undefined) putExtension(out, extension);
  return out.message;
}

export function decodeAddLink(header: LlcHeader, fields: LlcReader): AddLink {
  const { version, response, flags } = header;
  return {
    type: 'add-link',
    version,
    response,
    mac: fields.bytes(4, 6),
    gid: fields.bytes(12, 16),
    qpNumber: fields.uint(28, 3),
    linkNumber: fields.uint(31, 1),
    qpMtu: fields.uint(32, 1) & 0x0f,
    psn: fields.uint(33, 3),
    rejected: (flags & REJECTED) !== 0,
    rejectReason: version === 1 ? fields.uint(2, 1) & 0x0f : 0,
    ...(version === 2 && fields.length >= LIST_AT ? { extension: getExtension(header, fields) } : {}),
  };
}

function putExtension(out: LlcWriter, { direct, targetGid, rkeys }: AddLinkExtension): void {
  out.uint(44, 1, direct ? 0x80 : 0, 'direct');
  out.bytes(46, 16, targetGid, 'targetGid');
  out.uint16(70, rkeys.length, LITTLE_ENDIAN, 'number of rkeys');
  rkeys.forEach((entry, i) => {
    putRkeyOnNewLink(out, LIST_AT + RKEY_LENGTH * i, entry);
  });
}

function getExtension({ littleEndian }: LlcHeader, fields: LlcReader): AddLinkExtension {
  const count = fields.uint16(70, littleEndian);
  if (LIST_AT + RKEY_LENGTH * count > fields.length) throw malformed(`${count} RMBs in ${fields.length} bytes`, 70);
  return {
    direct: (fields.uint(44, 1) & 0x80) !== 0,
    targetGid: fields.bytes(46, 16),
    rkeys: Array.from({ length: count }, (_, i) => getRkeyOnNewLink(fields, LIST_AT + RKEY_LENGTH * i)),
  };
}

export function putRkeyOnNewLink(out: LlcWriter, at: number, { rkey, newRkey, newAddress }: RkeyOnNewLink): void {
  out.uint(at, 4, rkey, 'rkey');
  out.uint(at + 4, 4, newRkey, 'newRkey');
  out.uint64(at + 8, newAddress, 'newAddress');
}

export function getRkeyOnNewLink(fields: LlcReader, at: number): RkeyOnNewLink {
  return { rkey: fields.uint(at, 4), newRkey: fields.uint(at + 4, 4), newAddress: fields.uint64(at + 8) };
}
