// first-contact.ts - the first link of a group, from its queue pair to CONFIRM LINK (RFC 7609 section 3.5.1 and 3.5.2).
//
//   server: QP made -> (Accept, Confirm on TCP) -> RTR, RTS -> CONFIRM LINK request -> answer within 2 s
//   client: QP made -> RTR -> (Confirm on TCP) -> CONFIRM LINK request within 4 s -> RTS -> answer
//
// The queue pair of the client must be in RTR before the Confirm leaves: the request may follow at once. What fails up to the
// answer is declined on TCP, with the diagnosis given to `port.failed`; after it nothing is declined any more, only reset.

import type { ConfirmLink } from '../llc/index.js';
import { startAddLink } from './add-link.js';
import { confirmLink } from './confirm-link.js';
import type { Link, LinkEnd } from './link.js';
import type { LinkGroup } from './link-group.js';
import { LLC_WAIT } from './llc-flows.js';

export const CLIENT_CONFIRM_WAIT = 2 * LLC_WAIT;

/** Diagnosis codes of the Decline. */
export const FIRST_CONTACT_FAILURE = {
  noDevice: 0x03030002,
  confirmLinkTimeout: 0x02010000,
  eyecatchers: 0x03050000,
  internal: 0x09990002,
} as const;

export function firstContact(group: LinkGroup, peer: LinkEnd | undefined): void {
  const link = group.newLink();
  link.peer = peer;
  // Nothing else may run before the group is established.
  group.flows.initiate(
    'add-link',
    group.now,
    () => create(group, link),
    () => undefined,
  );
}

function create(group: LinkGroup, link: Link): void {
  group.step(link, 'createLink', (created) => {
    if (!created) return group.abandon(FIRST_CONTACT_FAILURE.noDevice);
    group.elements.serve();
    if (group.role === 'client') {
      group.step(link, 'connectLink', (connected) => {
        if (!connected) return group.abandon(FIRST_CONTACT_FAILURE.internal);
        group.port.reachable(link);
        awaitRequest(group, link);
      });
      return;
    }
    group.resumeFounding = () => {
      group.resumeFounding = undefined;
      connectAndAsk(group, link);
    };
    group.port.reachable(link);
  });
}

function connectAndAsk(group: LinkGroup, link: Link): void {
  group.step(link, 'connectLink', (connected) => {
    if (!connected) return group.abandon(FIRST_CONTACT_FAILURE.internal);
    group.step(link, 'activateLink', (activated) => {
      if (!activated) return group.abandon(FIRST_CONTACT_FAILURE.internal);
      group.send(link, confirmLink(group, link, false));
      group.expect('confirm-link', link, LLC_WAIT, (answer) => {
        if (answer?.type !== 'confirm-link' || !answer.response) return group.abandon(FIRST_CONTACT_FAILURE.confirmLinkTimeout);
        if (!answer.noEyecatchers) return group.abandon(FIRST_CONTACT_FAILURE.eyecatchers);
        establish(group, link, answer);
      });
    });
  });
}

function awaitRequest(group: LinkGroup, link: Link): void {
  group.expect('confirm-link', link, CLIENT_CONFIRM_WAIT, (request) => {
    if (request?.type !== 'confirm-link' || request.response) return group.abandon(FIRST_CONTACT_FAILURE.confirmLinkTimeout);
    if (!request.noEyecatchers) return group.abandon(FIRST_CONTACT_FAILURE.eyecatchers);
    link.number = request.linkNumber;
    group.step(link, 'activateLink', (activated) => {
      if (!activated) return group.abandon(FIRST_CONTACT_FAILURE.internal);
      group.send(link, confirmLink(group, link, true));
      establish(group, link, request);
    });
  });
}

function establish(group: LinkGroup, link: Link, { linkUid }: ConfirmLink): void {
  link.peerUid = linkUid;
  link.state = 'active';
  link.answered(group.now);
  group.state = 'active';
  group.port.established();
  group.flows.stop();
  if (group.role === 'server') startAddLink(group);
}
