// doubts.ts - connections whose TCP connection ended without a close, or which are shut down here and had to change their link. That the
// link answers TEST LINK says that the peer is there, not that it still has the connection: its server may have failed behind its Accept,
// or never have got the Confirm. So the TEST LINK that settles the one also asks for the other, see llc/peer-question.ts.
//
// A peer that cannot say, as Linux, is asked again, some times. A connection is given up upon the peer's word that it has none, and
// where its close got lost with a link: Linux since 5.18 does not repeat it over another one, as RFC 7609 section 4.6.1 has it, when it has
// nothing else to send. That is so when TCP ended in order and, half a minute after the failure, the peer has answered on another link
// and said nothing of the connection there, with room for anything that it may still have to send. And so it is where we are shut down:
// then Linux does not even say that it has moved, nor does it write again what was underway, for which its send buffer stays full. Unless it
// does say so, nobody can tell that from a peer with nothing to send: better one that would have been silent for long is reset than one is
// waited for that is silent for ever.

import { encodePeerQuestion, KNOWN, type PeerQuestion } from '../llc/index.js';
import type { Link } from './link.js';
import type { Member } from './port.js';

/** Between two questions about one connection, milliseconds. */
export const ASK_AGAIN = 30_000;
/** Who has not said anything by then will not. */
export const MOST_QUESTIONS = 10;

interface Doubt {
  /** When to ask. */
  readonly at: number;
  /** Over the link that the connection has. */
  readonly questions: number;
  /** TCP ended by FIN: whoever has the connection has closed it, or shut it down. */
  readonly ended: boolean;
  /** A link failed while we were shut down, and the peer has not said that it repeats what was lost. */
  readonly stuck: boolean;
}

export class Doubts {
  readonly #doubts = new Map<Member, Doubt>();

  /** When {@link tick} has something to do. */
  get deadline(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { at } of this.#doubts.values()) least = Math.min(least, at);
    return least;
  }

  /** `ended`: by FIN. */
  raise(member: Member, now: number, ended: boolean): void {
    const before = this.#doubts.get(member);
    this.#doubts.set(member, { at: now, questions: 0, ended: ended || before?.ended === true, stuck: before?.stuck === true });
  }

  /** One end of the connection, or both, has another link, over which it has not been asked for. */
  moved(member: Member, now: number): void {
    const stuck = member.connection.isHalfClosed;
    const before = this.#doubts.get(member);
    if (before !== undefined) this.#doubts.set(member, { ...before, at: now, questions: 0, stuck });
    // Not asked at once: the link that is left may suffer from what killed the other, and would be given up for a late answer.
    else if (stuck) this.#doubts.set(member, { at: now + ASK_AGAIN, questions: 1, ended: false, stuck });
  }

  /** The peer has said that it has moved: it repeats what was lost. */
  validated(member: Member): void {
    const doubt = this.#doubts.get(member);
    if (doubt?.stuck) this.#doubts.set(member, { ...doubt, stuck: false });
  }

  /** The connection is over, or the peer has it. */
  settle(member: Member): void {
    this.#doubts.delete(member);
  }

  /** Time goes by: links over which something is to be asked are tested. */
  tick(now: number): void {
    for (const [member, { at, questions }] of this.#doubts) {
      if (now < at) continue;
      if (questions === MOST_QUESTIONS || member.connection.peerIsDone) this.settle(member);
      else member.link.suspect();
    }
  }

  /** What a TEST LINK over this link carries. */
  question(link: Link, now: number): Uint8Array {
    for (const [member, doubt] of this.#doubts) {
      if (member.link !== link || now < doubt.at) continue;
      // Behind those that have not been asked for yet.
      this.#doubts.delete(member);
      this.#doubts.set(member, { ...doubt, at: now + ASK_AGAIN, questions: doubt.questions + 1 });
      return encodePeerQuestion({ known: KNOWN.question, token: member.connection.peerToken });
    }
    return new Uint8Array(16);
  }

  /** What the peer says. Returns a connection that it does not have, or has done with. */
  answered({ known, token }: PeerQuestion): Member | undefined {
    for (const [member, doubt] of this.#doubts) {
      if (member.connection.peerToken !== token) continue;
      const over = known === KNOWN.gone || (known === KNOWN.question && isLost(member, doubt));
      if (over || known === KNOWN.there) this.settle(member);
      return over ? member : undefined;
    }
    return undefined;
  }
}

/** An end that was told explains the FIN. */
function isLost({ connection: { closing, receiving, send } }: Member, { ended, stuck, questions }: Doubt): boolean {
  return (ended || stuck) && closing.received === 0 && send.unsure && questions > 1 && receiving.roomTold;
}
