// delete-rkey.ts - LLC DELETE RKEY (type 9): RMBs the sender takes back. The peer must not write them any more when it answers.
//
//   +4  1  number of rkeys
//   +5  1  in answers: version 1 a mask of the unknown ones (0x80 is the first), version 2 how many were unknown
//   +8  4  per rkey: 8 at most in version 1
//   flags 0x20, in answers: some were unknown

import { type LlcReader, malformed, mustBeWithin } from './bytes.js';
import { NEGATIVE } from './confirm-rkey.js';
import { LLC_LENGTH, LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { DeleteRkey } from './messages.js';

const LIST_AT = 8;
/** Of version 1. */
const MAX_RKEYS = 8;

export function encodeDeleteRkey(message: DeleteRkey): Uint8Array {
  const { rkeys, version } = message;
  mustBeWithin('number of rkeys', rkeys.length, 0, version === 1 ? MAX_RKEYS : 255);
  const length = version === 1 ? LLC_LENGTH : Math.max(LLC_LENGTH, LIST_AT + 4 * rkeys.length);
  const out = writeFrame(LLC_TYPE.deleteRkey, message, message.negative ? NEGATIVE : 0, length);
  out.uint(4, 1, rkeys.length, 'number of rkeys');
  out.uint(5, 1, message.errors, 'errors');
  rkeys.forEach((rkey, i) => {
    out.uint(LIST_AT + 4 * i, 4, rkey, 'rkeys');
  });
  return out.message;
}

export function decodeDeleteRkey({ version, response, flags }: LlcHeader, fields: LlcReader): DeleteRkey {
  const count = fields.uint(4, 1);
  if ((version === 1 && count > MAX_RKEYS) || LIST_AT + 4 * count > fields.length) throw malformed(`${count} rkeys`, 4);
  return {
    type: 'delete-rkey',
    version,
    response,
    rkeys: Array.from({ length: count }, (_, i) => fields.uint(LIST_AT + 4 * i, 4)),
    negative: (flags & NEGATIVE) !== 0,
    errors: fields.uint(5, 1),
  };
}
