// delete-link.ts - LLC DELETE LINK (type 4): ends a link, or with 0x40 all of them and so the link group.
//
//   +4  1  link number, 0 for all
//   +5  4  reason
//   flags 0x40 all links, 0x20 orderly: the sender stopped using it before

import type { LlcReader } from './bytes.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { DeleteLink } from './messages.js';

const ALL = 0x40;
const ORDERLY = 0x20;

export function encodeDeleteLink(message: DeleteLink): Uint8Array {
  const out = writeFrame(LLC_TYPE.deleteLink, message, (message.all ? ALL : 0) | (message.orderly ? ORDERLY : 0));
  out.uint(4, 1, message.linkNumber, 'linkNumber');
  out.uint(5, 4, message.reason, 'reason');
  return out.message;
}

export function decodeDeleteLink({ version, response, flags }: LlcHeader, fields: LlcReader): DeleteLink {
  return {
    type: 'delete-link',
    version,
    response,
    linkNumber: fields.uint(4, 1),
    all: (flags & ALL) !== 0,
    orderly: (flags & ORDERLY) !== 0,
    reason: fields.uint(5, 4),
  };
}
