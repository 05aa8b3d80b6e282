// dispatch.ts - who an LLC message is for: an exchange that waits for it, the answer to a request, or nobody.

import { DELETE_REASON, type LlcMessage, type UnknownLlc } from '../llc/index.js';
import { acceptAddLink, startAddLink } from './add-link.js';
import { deleteRequested } from './delete-link.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';
import { rkeyConfirmed, rkeyDeleted } from './rkey-flows.js';
import { tested } from './test-link.js';

export function dispatch(group: LinkGroup, link: Link, message: LlcMessage | UnknownLlc, answered: boolean): void {
  if (message.type === 'unknown') {
    // High bits 10 are for messages that may be ignored; Linux ignores all it does not know, which version 2 relies on.
    if (group.version === 1 && (message.code & 0xc0) === 0) group.end(DELETE_REASON.protocolViolation);
    return;
  }
  if (message.version !== group.version) return group.end(DELETE_REASON.protocolViolation);
  if (message.type === 'test-link') return tested(group, link, message, answered);
  // Requests and answers alike: an exchange that waits for this type on this link takes it.
  if (group.expects(message.type, link) && isAwaited(group, message)) return group.resume(message);
  if (message.response) return;
  request(group, link, message);
}

/** Does what waits for this type wait for this direction? CONFIRM LINK and ADD LINK CONTINUE are asked by the server. */
function isAwaited(group: LinkGroup, { type, response }: LlcMessage): boolean {
  if (type === 'confirm-link' || type === 'add-link-continue') return response === (group.role === 'server');
  return response;
}

function request(group: LinkGroup, link: Link, message: LlcMessage): void {
  if (message.type === 'delete-link') return deleteRequested(group, link, message);
  if (group.state !== 'active') return;
  switch (message.type) {
    case 'add-link':
      if (group.role === 'server') return startAddLink(group);
      return group.flows.accept('add-link', group.now, () => acceptAddLink(group, link, message));
    case 'request-add-link':
      if (group.role === 'server') startAddLink(group);
      return;
    case 'confirm-rkey':
    case 'confirm-rkey-continue':
      return rkeyConfirmed(group, link, message);
    case 'delete-rkey':
      return rkeyDeleted(group, link, message);
    default:
      // An exchange that nobody waits for: too late, or out of turn.
      return;
  }
}
