// confirm-rkey-continue.ts - LLC CONFIRM RKEY CONTINUE (type 8): the links that did not fit into CONFIRM RKEY. Linux has at most
// three links and never sends it.
//
//   +4   1  links still to be told, those in this message included
//   +5  13  per link, up to three: link number 1, rkey 4, address 8

import { type LlcReader, unencodable } from './bytes.js';
import { flagsOf, getLinks, NEGATIVE, putLinks, RETRY } from './confirm-rkey.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { ConfirmRkeyContinue } from './messages.js';

const LIST_AT = 5;
const LINKS = 3;

export function encodeConfirmRkeyContinue(message: ConfirmRkeyContinue): Uint8Array {
  const { remaining, others } = message;
  if (others.length !== Math.min(remaining, LINKS)) throw unencodable(`${others.length} links where ${remaining} remain`);
  const out = writeFrame(LLC_TYPE.confirmRkeyContinue, message, flagsOf(message));
  out.uint(4, 1, remaining, 'remaining');
  putLinks(out, LIST_AT, others);
  return out.message;
}

export function decodeConfirmRkeyContinue({ version, response, flags }: LlcHeader, fields: LlcReader): ConfirmRkeyContinue {
  const remaining = fields.uint(4, 1);
  return {
    type: 'confirm-rkey-continue',
    version,
    response,
    remaining,
    others: getLinks(fields, LIST_AT, Math.min(remaining, LINKS)),
    negative: (flags & NEGATIVE) !== 0,
    retry: (flags & RETRY) !== 0,
  };
}
