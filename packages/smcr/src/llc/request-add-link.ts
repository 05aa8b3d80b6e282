// request-add-link.ts - LLC REQUEST ADD LINK (type 5, version 2): a client tells the GIDs it has for another link.
//
//   +24  1  number of GIDs
//   +28 16  per GID

import { type LlcReader, malformed, mustBeWithin } from './bytes.js';
import { LLC_LENGTH, LLC_TYPE, type LlcHeader, writeFrame } from './header.js';
import type { RequestAddLink } from './messages.js';

const LIST_AT = 28;
const GID = 16;

export function encodeRequestAddLink(message: RequestAddLink): Uint8Array {
  const { gids } = message;
  mustBeWithin('number of gids', gids.length, 0, message.version === 1 ? 1 : 255);
  const out = writeFrame(LLC_TYPE.requestAddLink, message, 0, Math.max(LLC_LENGTH, LIST_AT + GID * gids.length));
  out.uint(24, 1, gids.length, 'number of gids');
  gids.forEach((gid, i) => {
    out.bytes(LIST_AT + GID * i, GID, gid, 'gids');
  });
  return out.message;
}

export function decodeRequestAddLink({ version, response }: LlcHeader, fields: LlcReader): RequestAddLink {
  const count = fields.uint(24, 1);
  if (LIST_AT + GID * count > fields.length || (version === 1 && count > 1)) throw malformed(`${count} GIDs`, 24);
  const gids = Array.from({ length: count }, (_, i) => fields.bytes(LIST_AT + GID * i, GID));
  return { type: 'request-add-link', version, response, gids };
}
