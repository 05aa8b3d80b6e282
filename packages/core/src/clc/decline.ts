// decline.ts - CLC Decline: "not SMC, TCP goes on" (RFC 7609 appendix A.4; version 2 is 16 bytes longer).
//
//   +8   8  peer id
//   +16  4  diagnosis
//   +20  1  version 2: bits 7-4 operating system; version 1: reserved
//   +21  3  reserved
//   +24 16  version 2 only: four further diagnosis words
//   end  4  trailer
//
// Bits 3-0 of the header's last byte: 0x08 out of sync, bits 1-0 the type (0 SMC-R, 1 SMC-D). Linux writes type 0 and
// the SMC-R eyecatcher whatever it declines, so the type is not compared with the eyecatcher.

import { type FieldReader, malformed, mustBeWithin, unencodable } from './fields.js';
import { type ClcHeader, FLAG, writeFrame } from './header.js';
import type { ClcDecline } from './messages.js';

const FURTHER = 4;

export function encodeDecline(message: ClcDecline): Uint8Array {
  const { version, path, furtherDiagnoses } = message;
  const flags = (message.outOfSync ? FLAG : 0) | (path === 'smcd' ? 1 : 0);
  const out = writeFrame('decline', path, version, version === 1 ? 28 : 44, flags);
  out.bytes(8, 8, message.peerId, 'peerId');
  out.uint(16, 4, message.diagnosis, 'diagnosis');
  mustBeWithin('os', message.os, 0, version === 1 ? 0 : 15);
  out.uint(20, 1, message.os << 4, 'os');
  if (furtherDiagnoses !== undefined) {
    if (version === 1) throw unencodable('furtherDiagnoses need version 2');
    if (furtherDiagnoses.length !== FURTHER) throw unencodable(`furtherDiagnoses must be ${FURTHER} numbers`);
    furtherDiagnoses.forEach((word, i) => {
      out.uint(24 + 4 * i, 4, word, 'furtherDiagnoses');
    });
  }
  return out.message;
}

export function decodeDecline(header: ClcHeader, fields: FieldReader): ClcDecline {
  const { version, path, flags } = header;
  if ((flags & 2) !== 0) throw malformed(`a Decline of type ${flags & 3}`, 7);
  const further = version === 1 ? [] : Array.from({ length: FURTHER }, (_, i) => fields.uint(24 + 4 * i, 4));
  return {
    type: 'decline',
    path,
    version,
    peerId: fields.bytes(8, 8),
    diagnosis: fields.uint(16, 4),
    outOfSync: (flags & FLAG) !== 0,
    os: version === 1 ? 0 : fields.uint(20, 1) >> 4,
    ...(further.some((word) => word !== 0) ? { furtherDiagnoses: further } : {}),
  };
}
