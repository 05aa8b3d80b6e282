// test-link.ts - TEST LINK: is the peer there, and if there is a doubt, has it the connection?

import { decodePeerQuestion, encodePeerQuestion, KNOWN, type TestLink } from '../llc/index.js';
import type { Link } from './link.js';
import { linkDown } from './link-down.js';
import type { LinkGroup } from './link-group.js';

/** Time goes by: links that were silent, or are in doubt, are tested; who does not answer is gone. */
export function testLinks(group: LinkGroup): void {
  const { doubts, links, now, version } = group;
  doubts.tick(now);
  for (const link of [...links]) {
    const wanted = link.tick(now);
    if (wanted === 'test') group.send(link, { type: 'test-link', version, response: false, userData: doubts.question(link, now) });
    else if (wanted === 'dead') linkDown(group, link);
  }
}

/** The peer's request, or its answer to ours. */
export function tested(group: LinkGroup, link: Link, message: TestLink): void {
  const about = decodePeerQuestion(message.userData);
  if (message.response) {
    link.answered(group.now);
    const lost = about && group.doubts.answered(about);
    if (lost !== undefined) group.tell(lost, lost.connection.unknown());
    return;
  }
  const asked = about?.known === KNOWN.question;
  const userData = asked ? encodePeerQuestion({ token: about.token, known: known(group, about.token) }) : message.userData;
  group.send(link, { ...message, response: true, userData });
}

function known(group: LinkGroup, token: number): number {
  if (group.members.has(token)) return KNOWN.there;
  return group.isAnnounced(token) ? KNOWN.coming : KNOWN.gone;
}
