// link-restorer.ts - a link group with fewer links than agreed tries to have another one: soon after it lost one, at once when a port is
// back, and then ever less often. Nobody else does: a peer that was asked while it was busy, or whose device was not ready, forgets it.

import { startAddLink } from './add-link.js';
import { replaceLink } from './delete-link.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

/** What a link of this side could use: a GID with its MAC. */
export interface SpareEnd {
  readonly gid: Uint8Array;
  readonly mac: Uint8Array;
}

/** Milliseconds until the first attempt, and between two at most. */
const FIRST_WAIT = 2000;
const LONGEST_WAIT = 60_000;

export class LinkRestorer {
  #wait = FIRST_WAIT;
  #next: number | undefined;

  /** A port of this side works again. */
  pathUp(now: number): void {
    this.#wait = FIRST_WAIT;
    this.#next = now;
  }

  tick(group: LinkGroup): void {
    const { now } = group;
    const active = group.links.filter(({ state }) => state === 'active');
    // Two links that share an end of this side would both go with it: the later one makes way where there is another end.
    const doubled = active.find((link, i) => active.slice(0, i).some((other) => sameEnd(other, link)));
    if (active.length >= group.maxLinks && doubled === undefined) {
      this.#wait = FIRST_WAIT;
      this.#next = undefined;
      return;
    }
    this.#next ??= now + this.#wait;
    if (now < this.#next || group.flows.running !== undefined) return;
    // One that is just being made may come to nothing.
    if (doubled === undefined && group.links.length >= group.maxLinks) return;
    const spare = group.port.spareEnds();
    if (spare.length === 0) return;
    this.#next = now + this.#wait;
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    if (doubled !== undefined) replaceLink(group, doubled);
    else if (group.role === 'server') startAddLink(group);
    else ask(group, spare);
  }

  get deadline(): number {
    return this.#next ?? Number.POSITIVE_INFINITY;
  }
}

const sameEnd = ({ own: a }: Link, { own: b }: Link): boolean => a !== undefined && b !== undefined && Buffer.compare(a.gid, b.gid) === 0;

/** Client: the server adds links, when it is asked to (RFC 7609 section 3.5.5.2; version 2: REQUEST ADD LINK). */
function ask(group: LinkGroup, spare: readonly SpareEnd[]): void {
  const via = group.bestLink;
  const [first] = spare;
  if (via === undefined || first === undefined) return;
  if (group.version === 2) {
    const gids = spare.map(({ gid }) => gid);
    return group.send(via, { type: 'request-add-link', version: 2, response: false, gids });
  }
  const nothing = { qpNumber: 0, linkNumber: 0, qpMtu: 0, psn: 0, rejected: false, rejectReason: 0 };
  group.send(via, { type: 'add-link', version: 1, response: false, mac: first.mac, gid: first.gid, ...nothing });
}
