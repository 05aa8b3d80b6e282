// confirm-rkey.ts - LLC CONFIRM RKEY (type 6): a new RMB, before the peer is told of it in CLC. Answered with the same message.
//
//   +4   1  number of further links, also those in CONFIRM RKEY CONTINUE
//   +5   4  rkey on this link
//   +9   8  address on this link
//   +17 13  per further link, up to two: link number 1, rkey 4, address 8
//   flags, in answers: 0x20 refused, 0x10 try again

import { type LlcReader, type LlcWriter, unencodable } from './bytes.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { ConfirmRkey, RkeyOnLink } from './messages.js';

export const NEGATIVE = 0x20;
export const RETRY = 0x10;
const LIST_AT = 17;
const ENTRY = 13;
/** Further links one message can tell. */
export const LINKS_PER_CONFIRM_RKEY = 2;

export function encodeConfirmRkey(message: ConfirmRkey): Uint8Array {
  const { remaining, others } = message;
  if (others.length !== Math.min(remaining, LINKS_PER_CONFIRM_RKEY)) throw unencodable(`${others.length} links where ${remaining} remain`);
  const out = writeFrame(LLC_TYPE.confirmRkey, message, flagsOf(message));
  out.uint(4, 1, remaining, 'remaining');
  out.uint(5, 4, message.rkey, 'rkey');
  out.uint64(9, message.address, 'address');
  putLinks(out, LIST_AT, others);
  return out.message;
}

export function decodeConfirmRkey({ version, response, flags }: LlcHeader, fields: LlcReader): ConfirmRkey {
  const remaining = fields.uint(4, 1);
  return {
    type: 'confirm-rkey',
    version,
    response,
    rkey: fields.uint(5, 4),
    address: fields.uint64(9),
    remaining,
    others: getLinks(fields, LIST_AT, Math.min(remaining, LINKS_PER_CONFIRM_RKEY)),
    negative: (flags & NEGATIVE) !== 0,
    retry: (flags & RETRY) !== 0,
  };
}

export function flagsOf({ negative, retry }: { readonly negative: boolean; readonly retry: boolean }): number {
  return (negative ? NEGATIVE : 0) | (retry ? RETRY : 0);
}

export function putLinks(out: LlcWriter, at: number, links: readonly RkeyOnLink[]): void {
  links.forEach(({ linkNumber, rkey, address }, i) => {
    out.uint(at + ENTRY * i, 1, linkNumber, 'linkNumber');
    out.uint(at + ENTRY * i + 1, 4, rkey, 'rkey');
    out.uint64(at + ENTRY * i + 5, address, 'address');
  });
}

export function getLinks(fields: LlcReader, at: number, length: number): RkeyOnLink[] {
  return Array.from({ length }, (_, i) => ({
    linkNumber: fields.uint(at + ENTRY * i, 1),
    rkey: fields.uint(at + ENTRY * i + 1, 4),
    address: fields.uint64(at + ENTRY * i + 5),
  }));
}
