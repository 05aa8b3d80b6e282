// refuse.ts - a connection that the peer takes for made comes to nothing here. On a further contact the Accept is a server's last word over
// TCP, whose end is only a suspicion to the client: it is told over a link, as if this side had aborted the connection.

import { CDC_LENGTH, CDC_STATE, emptyCdc, writeCdc } from '../cdc/index.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

/** `link`: that of the Accept; another one does as well. `peerToken`: the peer's, from its Confirm. */
export function refuse(group: LinkGroup, link: Link, peerToken: number): void {
  const via = link.sendable ? link : group.bestLink;
  if (via === undefined) return;
  const bytes = new Uint8Array(CDC_LENGTH);
  writeCdc(bytes, 0, { ...emptyCdc(), sequence: 1, token: peerToken, state: CDC_STATE.abnormal });
  group.port.send(via, bytes);
}
