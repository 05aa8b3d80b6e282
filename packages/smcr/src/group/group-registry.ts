// group-registry.ts - the link groups of one peer (an event loop), and which of them a new connection uses.
//
// The server decides (RFC 7609 section 3.5): it takes a group it has as server with the peer id and GID of the Proposal, and names its
// queue pair in the Accept. A client that does not know that queue pair must decline with "out of sync", which ends the group at
// both ends: so peer ids have to differ between the peers of a host.

import { DELETE_REASON } from '../llc/index.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export class GroupRegistry {
  readonly #groups = new Set<LinkGroup>();

  /** From its first contact on. */
  add(group: LinkGroup): void {
    this.#groups.add(group);
  }

  /** It has ended, or its first contact failed. */
  delete(group: LinkGroup): void {
    this.#groups.delete(group);
  }

  get size(): number {
    return this.#groups.size;
  }

  /** Server: the group for a Proposal from this peer and GID, or undefined: first contact. */
  forProposal(peerId: Uint8Array, gid: Uint8Array, fits: (group: LinkGroup) => boolean = () => true): LinkGroup | undefined {
    for (const group of this.#groups) {
      if (group.role !== 'server' || !group.hasRoom || !same(group.peerId, peerId)) continue;
      if (group.links.some(({ peer }) => peer !== undefined && same(peer.gid, gid)) && fits(group)) return group;
    }
    return undefined;
  }

  /** Client: the group and link that an Accept without first contact names. Undefined: decline, out of sync. */
  forAccept(peerId: Uint8Array, gid: Uint8Array, qpNumber: number): { readonly group: LinkGroup; readonly link: Link } | undefined {
    for (const group of this.#groups) {
      // Whether there is room is the server's to know: it may have seen the end of a connection before us.
      if (group.role !== 'client' || group.state !== 'active' || group.outOfSync || !same(group.peerId, peerId)) continue;
      const link = group.linkOf(gid, qpNumber);
      if (link !== undefined) return { group, link };
    }
    return undefined;
  }

  /** A Decline with "out of sync" came for a connection of this group: it is over, with all its connections. */
  outOfSync(group: LinkGroup): void {
    group.outOfSync = true;
    group.end(DELETE_REASON.protocolViolation);
  }
}

/** A peer id: 2 random bytes, then the MAC. Not zeros: Linux sends those for "none". */
export function makePeerId(mac: Uint8Array, random: number): Uint8Array {
  const instance = random & 0xffff || 1;
  return Uint8Array.of(instance >> 8, instance & 0xff, ...mac);
}
