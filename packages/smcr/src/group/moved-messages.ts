// moved-messages.ts - messages of a connection whose peer goes on over another link.
//
// A peer that moves a connection says so by a failover validation: it has given the old link up, and repeats what may be lost. Linux does
// neither for a connection that is shut down or closed at either end: its next message comes over the other link. That stands for a
// validation of the number before its own, if it tells of new bytes: what lies in front of them must have arrived. (Without bytes nothing
// can be missing: cursors and state bits of one message include those of all before it.) The old link may still work then, and bring what
// is missing: so it is kept as long as that is waited for.

import { CDC_FLAG, type CdcMessage, emptyCdc } from '../cdc/index.js';
import type { Link } from './link.js';
import { abandoned } from './link-down.js';
import type { LinkGroup } from './link-group.js';
import type { Member } from './port.js';

const isValidation = (message: CdcMessage): boolean => (message.flags & CDC_FLAG.failoverValidation) !== 0;

/** Anything that comes while a connection moves, or while others of its group do. */
export function receivedWhileMoving(group: LinkGroup, member: Member, link: Link, message: CdcMessage): void {
  const { connection } = member;
  if (comesElsewhere(member, link)) {
    if (isValidation(message) || !waitsForBytes(group, member, link, message)) abandoned(group, member, link);
    // With the old link it may have been lost.
    if (group.members.get(connection.token) !== member) return;
    heardAgain(member, link, message);
  }
  if (isValidation(message) && link.state !== 'down') group.doubts.validated(member);
  if (connection.suspectsGap(message)) group.port.drain(link);
  if (!group.held.holds(connection, link, message, group.now)) group.tell(member, connection.receive(message));
  releaseHeld(group, member);
}

/** Takes what was held back, when what it waited for has come or is taken for lost. */
export function releaseHeld(group: LinkGroup, member: Member): void {
  const { connection } = member;
  const link = group.held.over(connection);
  const messages = group.held.release(connection, group.now);
  if (link === undefined || messages === undefined) return;
  if (comesElsewhere(member, link)) abandoned(group, member, link);
  for (const message of messages) {
    heardAgain(member, link, message);
    group.tell(member, connection.receive(message));
  }
}

/**
 * A message over a link that lives, and not the validation, which has no cursors: the peer has sent it after the failure, or lost nothing.
 */
export function heardAgain(member: Member, link: Link, message: CdcMessage): void {
  if (link.state !== 'down' && !isValidation(message)) member.connection.send.heard();
}

const comesElsewhere = (member: Member, link: Link): boolean => link !== member.peerLink && link.state !== 'down';

/** Does a message that is no validation tell of bytes behind others that are missing? Then the validation that it stands for is held. */
function waitsForBytes(group: LinkGroup, { connection }: Member, link: Link, message: CdcMessage): boolean {
  if (!connection.receiving.isNew(message.producerWrap, message.producerOffset)) return false;
  const sequence = (message.sequence - 1) & 0xffff;
  const implied = { ...emptyCdc(), token: message.token, sequence, flags: CDC_FLAG.failoverValidation };
  if (connection.suspectsGap(implied)) group.port.drain(link);
  return group.held.holds(connection, link, implied, group.now);
}
