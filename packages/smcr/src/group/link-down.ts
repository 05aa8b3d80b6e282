// link-down.ts - what happens when a link fails: its connections move and the peer is told, or the group is over.

import { DELETE_REASON } from '../llc/index.js';
import { tellDeleted } from './delete-link.js';
import { moveConnections } from './failover.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

/** A link broke: the port, TEST LINK or the peer says so. */
export function linkDown(group: LinkGroup, link: Link): void {
  if (link.state === 'down' || group.state === 'ended') return;
  if (link.state !== 'active') {
    // It was being added, or is the first one: whoever waits for it is told by dropLink.
    group.dropLink(link);
    return;
  }
  if (moveConnections(group, link) === undefined) {
    link.state = 'down';
    return group.end(DELETE_REASON.lostPath);
  }
  group.dropLink(link);
  tellDeleted(group, link.number, DELETE_REASON.lostPath);
}
