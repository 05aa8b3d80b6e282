// codec.ts - CLC messages to bytes and back (RFC 7609 appendix A; SMCv2.1 as Linux speaks it).

import { decodeAcceptConfirm, encodeAcceptConfirm } from './accept-confirm.js';
import { decodeDecline, encodeDecline } from './decline.js';
import { FieldReader, malformed, unencodable } from './fields.js';
import { checkTrailer, readHeader } from './header.js';
import type { ClcMessage } from './messages.js';
import { decodeProposal, encodeProposal } from './proposal.js';

/**
 * The bytes of a message, ready for the TCP connection.
 *
 * @throws SmcError `ERR_SMC_CLC` naming the field that has no such value on the wire.
 */
export function encode(message: ClcMessage): Uint8Array {
  if (message.version !== 1 && message.version !== 2) throw unencodable('version must be 1 or 2');
  if (message.path !== 'smcr' && message.path !== 'smcd') throw unencodable('path must be smcr or smcd');
  switch (message.type) {
    case 'proposal':
      return encodeProposal(message);
    case 'accept':
    case 'confirm':
      return encodeAcceptConfirm(message);
    case 'decline':
      return encodeDecline(message);
    default:
      throw unencodable('type must be proposal, accept, confirm or decline');
  }
}

/**
 * Reads exactly one message. Reserved bits are ignored; everything else is checked: both eyecatchers, counts, ranges, and
 * that the parts add up to the stated length. The message shares no memory with `bytes`.
 *
 * @throws SmcError `ERR_SMC_CLC`, and nothing else, saying what is wrong and at which offset.
 */
export function decode(bytes: Uint8Array): ClcMessage {
  const header = readHeader(bytes);
  if (header === undefined) throw malformed('the message ends inside its header', bytes.length);
  if (header.length !== bytes.length) throw malformed(`length ${header.length} of ${bytes.length} bytes`, 5);
  const fields = new FieldReader(bytes);
  checkTrailer(bytes, header.path);
  switch (header.type) {
    case 'proposal':
      return decodeProposal(header, fields);
    case 'accept':
    case 'confirm':
      return decodeAcceptConfirm(header, fields, header.type);
    case 'decline':
      return decodeDecline(header, fields);
  }
}
