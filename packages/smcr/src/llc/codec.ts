// codec.ts - LLC messages to bytes and back. Not for hot paths: a link group has a few of them per connection.

import { decodeAddLink, encodeAddLink } from './add-link.js';
import { decodeAddLinkContinue, encodeAddLinkContinue } from './add-link-continue.js';
import { LlcReader, unencodable } from './bytes.js';
import { decodeConfirmLink, encodeConfirmLink } from './confirm-link.js';
import { decodeConfirmRkey, encodeConfirmRkey } from './confirm-rkey.js';
import { decodeConfirmRkeyContinue, encodeConfirmRkeyContinue } from './confirm-rkey-continue.js';
import { decodeDeleteLink, encodeDeleteLink } from './delete-link.js';
import { decodeDeleteRkey, encodeDeleteRkey } from './delete-rkey.js';
import { LLC_TYPE, readHeader } from './header.js';
import type { LlcMessage, UnknownLlc } from './messages.js';
import { decodeRequestAddLink, encodeRequestAddLink } from './request-add-link.js';
import { decodeTestLink, encodeTestLink } from './test-link.js';

/**
 * The bytes of a message, 44 or more, ready for SEND.
 *
 * @throws SmcError `ERR_SMC_LLC` naming the field that has no such value on the wire.
 */
export function encodeLlc(message: LlcMessage): Uint8Array {
  switch (message.type) {
    case 'confirm-link':
      return encodeConfirmLink(message);
    case 'add-link':
      return encodeAddLink(message);
    case 'add-link-continue':
      return encodeAddLinkContinue(message);
    case 'delete-link':
      return encodeDeleteLink(message);
    case 'request-add-link':
      return encodeRequestAddLink(message);
    case 'confirm-rkey':
      return encodeConfirmRkey(message);
    case 'confirm-rkey-continue':
      return encodeConfirmRkeyContinue(message);
    case 'test-link':
      return encodeTestLink(message);
    case 'delete-rkey':
      return encodeDeleteRkey(message);
    default:
      throw unencodable('there is no such type');
  }
}

/**
 * Reads what one SEND carried; its first byte is not that of CDC. `bytes` must be a private copy: a peer writes receive buffers.
 * Reserved bits are ignored. The message shares no memory with `bytes`.
 *
 * @throws SmcError `ERR_SMC_LLC`, and nothing else, saying what is wrong and at which offset.
 */
export function decodeLlc(bytes: Uint8Array): LlcMessage | UnknownLlc {
  const fields = new LlcReader(bytes);
  const header = readHeader(fields);
  switch (header.type) {
    case LLC_TYPE.confirmLink:
      return decodeConfirmLink(header, fields);
    case LLC_TYPE.addLink:
      return decodeAddLink(header, fields);
    case LLC_TYPE.addLinkContinue:
      return decodeAddLinkContinue(header, fields);
    case LLC_TYPE.deleteLink:
      return decodeDeleteLink(header, fields);
    case LLC_TYPE.requestAddLink:
      return decodeRequestAddLink(header, fields);
    case LLC_TYPE.confirmRkey:
      return decodeConfirmRkey(header, fields);
    case LLC_TYPE.testLink:
      return decodeTestLink(header, fields);
    case LLC_TYPE.confirmRkeyContinue:
      return decodeConfirmRkeyContinue(header, fields);
    case LLC_TYPE.deleteRkey:
      return decodeDeleteRkey(header, fields);
    default:
      return { type: 'unknown', version: header.version, response: header.response, code: bytes[0] as number };
  }
}
