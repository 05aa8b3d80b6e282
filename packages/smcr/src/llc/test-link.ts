// test-link.ts - LLC TEST LINK (type 7): keepalive. The answer is the request with 0x80, unless it is a question: peer-question.ts.
//
//   +4  16  data of the sender's choice

import type { LlcReader } from './bytes.js';
import { LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { TestLink } from './messages.js';

export function encodeTestLink(message: TestLink): Uint8Array {
  const out = writeFrame(LLC_TYPE.testLink, message, 0);
  out.bytes(4, 16, message.userData, 'userData');
  return out.message;
}

export function decodeTestLink({ version, response }: LlcHeader, fields: LlcReader): TestLink {
  return { type: 'test-link', version, response, userData: fields.bytes(4, 16) };
}
