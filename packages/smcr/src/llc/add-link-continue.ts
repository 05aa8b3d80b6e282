// add-link-continue.ts - LLC ADD LINK CONTINUE (type 3, version 1): the rkeys of all RMBs on the new link, server first, then
// the client in answers, until both have told theirs.
//
//   +4   1  link number
//   +5   1  RMBs still to be told, those in this message included
//   +8  32  two of: rkey on the link the message travels on 4, rkey on the new link 4, address on the new link 8

import { getRkeyOnNewLink, putRkeyOnNewLink, RKEY_LENGTH } from './add-link.js';
import { type LlcReader, unencodable } from './bytes.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { AddLinkContinue } from './messages.js';

const LIST_AT = 8;
/** RMBs one message can tell. */
export const RKEYS_PER_CONTINUE = 2;

export function encodeAddLinkContinue(message: AddLinkContinue): Uint8Array {
  const { remaining, rkeys } = message;
  if (rkeys.length !== Math.min(remaining, RKEYS_PER_CONTINUE)) throw unencodable(`${rkeys.length} rkeys where ${remaining} remain`);
  const out = writeFrame(LLC_TYPE.addLinkContinue, message, 0);
  out.uint(4, 1, message.linkNumber, 'linkNumber');
  out.uint(5, 1, remaining, 'remaining');
  rkeys.forEach((entry, i) => {
    putRkeyOnNewLink(out, LIST_AT + RKEY_LENGTH * i, entry);
  });
  return out.message;
}

export function decodeAddLinkContinue({ version, response }: LlcHeader, fields: LlcReader): AddLinkContinue {
  const remaining = fields.uint(5, 1);
  const length = Math.min(remaining, RKEYS_PER_CONTINUE);
  return {
    type: 'add-link-continue',
    version,
    response,
    linkNumber: fields.uint(4, 1),
    remaining,
    rkeys: Array.from({ length }, (_, i) => getRkeyOnNewLink(fields, LIST_AT + RKEY_LENGTH * i)),
  };
}
