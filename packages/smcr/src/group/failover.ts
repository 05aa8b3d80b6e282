// failover.ts - the connections of a link go on over another one (RFC 7609 section 4.6).
//
// A connection that moves starts there with a failover validation: a CDC message with the F bit and the number of the last message
// the peer's adapter is known to have. A receiver that has not seen that message resets the connection, since bytes are missing.
// Otherwise the sender repeats everything behind it, to the same places.

import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

/** Moves the connections of a link that was dropped to the best other one, which is returned; undefined when there is none. */
export function moveConnections(group: LinkGroup, from: Link): Link | undefined {
  const to = group.bestLink;
  if (to === undefined) return undefined;
  for (const member of [...group.members.values()]) {
    if (member.link !== from) {
      if (member.peerLink === from) {
        group.doubts.moved(member, group.now);
        group.tell(member, member.connection.unheard());
      }
      continue;
    }
    from.connections--;
    to.connections++;
    member.link = to;
    group.doubts.moved(member, group.now);
    if (member.peer.rtoken.has(to)) {
      group.tell(member, member.connection.failover());
    } else {
      // The peer never told how to write its RMB on that link.
      group.tell(member, member.connection.lost());
    }
  }
  return to;
}
