// early-messages.ts - CDC messages for connections that are being made. A client may write as soon as its Confirm is on its way, and
// RDMA is often quicker than TCP: the server must not lose what comes before the Confirm has been read.

import type { CdcMessage } from '../cdc/index.js';
import type { Link } from './link.js';

export interface EarlyMessage {
  readonly link: Link;
  readonly message: CdcMessage;
}

/** Of one connection. Cursors and state bits of a later message say all that earlier ones did, so the last place is used again. */
const MOST_MESSAGES = 16;
/** As many connections as a link group may have. */
const MOST_CONNECTIONS = 255;

export class EarlyMessages {
  readonly #kept = new Map<number, EarlyMessage[]>();

  /** Copies the message. */
  keep(link: Link, message: CdcMessage): void {
    const known = this.#kept.get(message.token);
    const early = { link, message: { ...message } };
    if (known === undefined) {
      if (this.#kept.size < MOST_CONNECTIONS) this.#kept.set(message.token, [early]);
    } else if (known.length < MOST_MESSAGES) known.push(early);
    else known[MOST_MESSAGES - 1] = early;
  }

  /** Those for this token, in order; they are not kept any longer. */
  take(token: number): readonly EarlyMessage[] {
    const known = this.#kept.get(token) ?? [];
    this.#kept.delete(token);
    return known;
  }

  /** No connection is being made: what is there is for none. */
  clear(): void {
    this.#kept.clear();
  }
}
