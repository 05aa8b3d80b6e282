// trace.ts - NODE_DEBUG=smcr: what link groups tell each other and what becomes of their links, a line each on stderr.

import { debuglog } from 'node:util';
import type { Link, LinkGroup } from '../group/index.js';
import { LLC_TYPE } from '../llc/index.js';

const log = debuglog('smcr');
const NAMES = new Map<number, string>(Object.entries(LLC_TYPE).map(([name, code]) => [code, name]));

/** Messages are told with their flags (0x80: an answer) and their first bytes. */
export function traceLlc(direction: 'sends' | 'gets', group: LinkGroup, link: Link, message: Uint8Array): void {
  if (!log.enabled) return;
  const type = (message[0] ?? 0) & 0x1f;
  const flags = (message[3] ?? 0).toString(16).padStart(2, '0');
  const start = Buffer.from(message.subarray(4, 36)).toString('hex');
  log('%s %s %s, flags %s, over link %d: %s', group.role, direction, NAMES.get(type) ?? type, flags, link.number, start);
}

export function traceLinks(group: LinkGroup, event: string): void {
  if (!log.enabled) return;
  const links = group.links.map(({ number, state, own, peer }) => {
    const gids = [own, peer].map((end) => Buffer.from(end?.gid.subarray(12) ?? []).join('.'));
    return `${number} ${state} ${gids.join('-')}`;
  });
  log('%s %s, links: %s', group.role, event, links.join('; '));
}
