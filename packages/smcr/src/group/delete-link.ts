// delete-link.ts - LLC DELETE LINK: a link goes, or all of them and the group with them (RFC 7609 section 4.5.5).
//
// The server leads: a client asks it, and is then asked by it. Connections move to another link first; without one the group ends.

import { DELETE_REASON, type DeleteLink } from '../llc/index.js';
import { startAddLink } from './add-link.js';
import { moveConnections } from './failover.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';
import { LLC_WAIT } from './llc-flows.js';

/** The peer asks for it. */
export function deleteRequested(group: LinkGroup, via: Link, message: DeleteLink): void {
  // Linux answers with the same request of its own, as end() does.
  if (message.all) return group.end(message.reason, message.orderly);
  const link = group.links.find(({ number }) => number === message.linkNumber);
  if (link !== undefined && link.state !== 'active') {
    // It was just being added: that ends, and with it the wait for it.
    respond(group, via, message, 0);
    group.dropLink(link);
    return;
  }
  group.flows.accept('delete-link', group.now, () => {
    if (group.role === 'client') {
      respond(group, via, message, link === undefined ? DELETE_REASON.unknownLink : 0);
      group.flows.stop();
      if (link !== undefined) remove(group, link);
    } else if (link === undefined) {
      group.flows.stop();
    } else {
      ask(group, link, message.reason, message.orderly);
    }
  });
}

/** A link of ours is down, or not wanted any more, and `group.links` does not have it any more. */
export function tellDeleted(group: LinkGroup, number: number, reason: number): void {
  if (group.role === 'client') {
    // Only asks: the server leads. It may have noticed by itself, then this finds nothing there.
    const via = group.bestLink;
    if (via !== undefined) group.send(via, request(group, number, reason, true));
    return;
  }
  group.flows.initiate(
    'delete-link',
    group.now,
    () => askFor(group, number, reason, true),
    () => undefined,
  );
}

/**
 * A link that works makes way for a better one, which the server adds when it is gone. Not while it has to stay: what is tried again later.
 */
export function replaceLink(group: LinkGroup, link: Link): void {
  const other = () => (mustStay(group, link) ? undefined : group.links.find((one) => one !== link && one.state === 'active'));
  if (group.role === 'server') {
    // It may have its turn much later: the other one must still be there.
    return group.flows.accept('delete-link', group.now, () => {
      if (link.state === 'active' && other() !== undefined) ask(group, link, DELETE_REASON.lostPath, true);
      else group.flows.stop();
    });
  }
  const via = other();
  if (via !== undefined) group.send(via, request(group, link.number, DELETE_REASON.lostPath, true));
}

/**
 * Linux writes nothing again of a connection that is shut down at either end: what it has underway over this link would be lost with it. A
 * link that broke leaves no choice; for a better one no connection is given up of which it is known.
 */
function mustStay(group: LinkGroup, link: Link): boolean {
  return [...group.members.values()].some(
    ({ connection, link: ours, peerLink }) => (ours === link || peerLink === link) && connection.isHalfClosed,
  );
}

/** Server: moves connections off, asks the client, and takes the link down. */
function ask(group: LinkGroup, link: Link, reason: number, orderly: boolean): void {
  remove(group, link);
  if (group.state === 'active') askFor(group, link.number, reason, orderly);
}

function askFor(group: LinkGroup, number: number, reason: number, orderly: boolean): void {
  const via = group.bestLink;
  const done = (): void => {
    group.flows.stop();
    if (group.state === 'active') startAddLink(group);
  };
  if (via === undefined) return done();
  group.send(via, request(group, number, reason, orderly));
  group.expect('delete-link', via, LLC_WAIT, done);
}

/** Takes a link down that still worked. */
function remove(group: LinkGroup, link: Link): void {
  group.dropLink(link);
  if (moveConnections(group, link) === undefined) group.end(DELETE_REASON.lostPath);
}

function respond(group: LinkGroup, via: Link, message: DeleteLink, reason: number): void {
  group.send(via, { ...message, version: group.version, response: true, reason });
}

function request(group: LinkGroup, linkNumber: number, reason: number, orderly: boolean): DeleteLink {
  return { type: 'delete-link', version: group.version, response: false, linkNumber, all: false, orderly, reason };
}
