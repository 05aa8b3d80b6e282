// completion-waits.ts - which connections wait for something of theirs to complete: those whose send buffer fills, or whose writer waits for
// room in it, and those that end. For all others it is soon enough to hear of it with the next message of the peer, or at the next tick.

import type { Member } from '../group/index.js';

/** A send buffer that is full to this part waits for completions: its writer needs the room. */
const FULL = 1 / 4;

export class CompletionWaits {
  readonly #waiting = new Set<Member>();

  get any(): boolean {
    return this.#waiting.size > 0;
  }

  /** After it has transmitted, or something of it has completed. Does it wait? */
  update(member: Member): boolean {
    const { send, closing, writerWaits } = member.connection;
    const waits = send.underway > 0 && (closing.state !== 'active' || send.unacknowledged >= FULL || writerWaits);
    if (waits) this.#waiting.add(member);
    else if (this.#waiting.size > 0) this.#waiting.delete(member);
    return waits;
  }

  delete(member: Member): void {
    this.#waiting.delete(member);
  }
}
