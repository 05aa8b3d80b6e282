// confirm-link.ts - what CONFIRM LINK says of one of our links.

import type { ConfirmLink } from '../llc/index.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';

/** The message for a link of ours that has its queue pair, asking or answering. */
export function confirmLink(group: LinkGroup, link: Link, response: boolean): ConfirmLink {
  const { own } = link;
  if (own === undefined) throw new Error('a link without queue pair is confirmed');
  return {
    type: 'confirm-link',
    version: group.version,
    response,
    mac: own.mac,
    gid: own.gid,
    qpNumber: own.qpNumber,
    linkNumber: link.number,
    linkUid: link.uid,
    maxLinks: group.maxLinks,
    maxConns: group.version === 2 ? group.maxConns : 0,
    noEyecatchers: true,
  };
}
