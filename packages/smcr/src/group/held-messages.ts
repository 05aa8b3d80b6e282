// held-messages.ts - CDC messages of a connection that came over its new link before the last ones of the failed link were seen.
//
// A failover validation names a message that our adapter has acknowledged. If we have not seen it, its completion is on its way, or it
// is lost. So everything that comes over the new link waits for a moment; then the connection is given up, as RFC 7609 section 4.6.1
// demands. Linux gives up at once.

import type { CdcMessage } from '../cdc/index.js';
import type { SmcrConnection } from '../connection/index.js';
import type { Link } from './link.js';

/** A completion that the adapter owes comes within this, milliseconds. */
export const GAP_WAIT = 500;
/** So many of one connection are kept; with more the wait is over. */
export const MOST_HELD = 1024;

interface Held {
  readonly link: Link;
  readonly until: number;
  /** The validation is the first. */
  readonly messages: CdcMessage[];
}

export class HeldMessages {
  readonly #held = new Map<SmcrConnection, Held>();

  get any(): boolean {
    return this.#held.size > 0;
  }

  /** Must this message wait? It is copied then. Call {@link release} afterwards. */
  holds(connection: SmcrConnection, link: Link, message: CdcMessage, now: number): boolean {
    const held = this.#held.get(connection);
    if (held === undefined) {
      if (!connection.suspectsGap(message)) return false;
      this.#held.set(connection, { link, until: now + GAP_WAIT, messages: [{ ...message }] });
      return true;
    }
    // What the failed link still brings is what is waited for.
    if (held.link !== link) return false;
    held.messages.push({ ...message });
    return true;
  }

  /** The link over which what is held of a connection came. */
  over(connection: SmcrConnection): Link | undefined {
    return this.#held.get(connection)?.link;
  }

  /** What waits for nothing any more, in order: the gap is closed, or it is taken for one. Undefined while it waits. */
  release(connection: SmcrConnection, now: number): readonly CdcMessage[] | undefined {
    const held = this.#held.get(connection);
    if (held === undefined) return undefined;
    const waits = now < held.until && held.messages.length <= MOST_HELD;
    if (waits && connection.suspectsGap(held.messages[0] as CdcMessage)) return undefined;
    this.#held.delete(connection);
    return held.messages;
  }

  delete(connection: SmcrConnection): void {
    this.#held.delete(connection);
  }
}
