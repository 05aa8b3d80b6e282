// test-link.ts - TEST LINK: is the peer there, and if there is a doubt, has it the connection?

import { decodePeerQuestion, encodePeerQuestion, KNOWN, type TestLink } from '../llc/index.js';
import type { Link } from './link.js';
import { linkDown } from './link-down.js';
import type { LinkGroup } from './link-group.js';
import type { Member } from './port.js';

/**
 * The TCP connection beside this one ended without a close, `ended`: by FIN. Is the peer still there, and has it the connection? The link
 * is tested at the next tick.
 */
export function suspect(group: LinkGroup, member: Member, now: number, ended: boolean): void {
  group.doubts.raise(member, now, ended);
  member.link.suspect();
}

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

/**
 * The peer's request, or its answer to ours. The stall guard of an adapter sends every request back as it is, long before the loop
 * sees it (`answered`): what the loop knows of a connection is a second answer then.
 */
export function tested(group: LinkGroup, link: Link, message: TestLink, answered: boolean): void {
  const about = decodePeerQuestion(message.userData);
  if (message.response) {
    link.answered(group.now);
    const lost = about && group.doubts.answered(about);
    if (lost !== undefined) group.tell(lost, lost.connection.unknown());
    // The next question, if there is one.
    testLinks(group);
  } else if (about?.known === KNOWN.question) {
    group.send(link, {
      ...message,
      response: true,
      userData: encodePeerQuestion({ token: about.token, known: known(group, about.token) }),
    });
  } else if (!answered) {
    group.send(link, { ...message, response: true });
  }
}

function known(group: LinkGroup, token: number): number {
  if (group.members.has(token)) return KNOWN.there;
  return group.isAnnounced(token) ? KNOWN.coming : KNOWN.gone;
}
