// link-down.ts - what happens when a link fails: its connections move and the peer is told, or the group is over.

import { DELETE_REASON } from '../llc/index.js';
import { tellDeleted } from './delete-link.js';
import { moveConnections } from './failover.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';
import type { Member } from './port.js';

/** A link broke: the port, TEST LINK or the peer says so. */
export function linkDown(group: LinkGroup, link: Link): void {
  if (link.state === 'down' || group.state === 'ended') return;
  if (link.state !== 'active') {
    // It was being added, or is the first one: whoever waits for it is told by dropLink.
    group.dropLink(link);
    return;
  }
  // First the queue pair: nothing of what it still has may get out behind what is repeated over the other link.
  group.dropLink(link);
  if (moveConnections(group, link) === undefined) return group.end(DELETE_REASON.lostPath);
  tellDeleted(group, link.number, DELETE_REASON.lostPath);
}

/**
 * The peer has moved a connection to another link, so the one it used is dead to it. It must be dead here, too, before the peer is told
 * of any room: a write that is still underway there would land on newer bytes.
 */
export function abandoned(group: LinkGroup, member: Member, now: Link): void {
  const before = member.peerLink;
  if (before === now) return;
  member.peerLink = now;
  linkDown(group, before);
}
