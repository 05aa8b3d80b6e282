// confirm-link.ts - LLC CONFIRM LINK (type 1): the first message on a new link, server to client, and its answer.
//
//   +4   6  MAC of the sender
//   +10 16  GID of the sender
//   +26  3  QP number of the sender
//   +29  1  link number
//   +30  4  link user id
//   +34  1  max links
//   +35  1  version 2: max connections
//   flags 0x03: the sender neither writes nor expects eyecatchers in RMBEs

import type { LlcReader } from './bytes.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { ConfirmLink } from './messages.js';

const NO_EYECATCHERS = 0x03;

export function encodeConfirmLink(message: ConfirmLink): Uint8Array {
  const out = writeFrame(LLC_TYPE.confirmLink, message, message.noEyecatchers ? NO_EYECATCHERS : 0);
  out.bytes(4, 6, message.mac, 'mac');
  out.bytes(10, 16, message.gid, 'gid');
  out.uint(26, 3, message.qpNumber, 'qpNumber');
  out.uint(29, 1, message.linkNumber, 'linkNumber');
  out.uint(30, 4, message.linkUid, 'linkUid');
  out.uint(34, 1, message.maxLinks, 'maxLinks');
  if (message.version === 2) out.uint(35, 1, message.maxConns, 'maxConns');
  return out.message;
}

export function decodeConfirmLink({ version, response, flags }: LlcHeader, fields: LlcReader): ConfirmLink {
  return {
    type: 'confirm-link',
    version,
    response,
    mac: fields.bytes(4, 6),
    gid: fields.bytes(10, 16),
    qpNumber: fields.uint(26, 3),
    linkNumber: fields.uint(29, 1),
    linkUid: fields.uint(30, 4),
    maxLinks: fields.uint(34, 1),
    maxConns: version === 1 ? 0 : fields.uint(35, 1),
    noEyecatchers: (flags & NO_EYECATCHERS) === NO_EYECATCHERS,
  };
}
