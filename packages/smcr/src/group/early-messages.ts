// early-messages.ts - CDC messages for a connection whose Confirm is still on its way: TCP and RDMA do not wait for each other, and a
// client may send from the moment on in which it has sent its Confirm.
//
// The newest message is enough: cursors and state bits of one include those of all before it. (An urgent byte that was told by an older
// one is an ordinary byte then.) A failover validation has none of that, and the number of a message that has.

import { CDC_FLAG, type CdcMessage, isBefore } from '../cdc/index.js';

export class EarlyMessages {
  /** By our token, from the Accept on. */
  readonly #expected = new Map<number, CdcMessage | undefined>();

  /** The token is told to the peer. */
  expect(token: number): void {
    this.#expected.set(token, undefined);
  }

  /** The token was told, and its connection is not there yet. */
  expects(token: number): boolean {
    return this.#expected.has(token);
  }

  /** Keeps a copy of a message that nobody can take yet; others are ignored. */
  keep(message: CdcMessage): void {
    if (!this.expects(message.token) || (message.flags & CDC_FLAG.failoverValidation) !== 0) return;
    const known = this.#expected.get(message.token);
    if (known === undefined || !isBefore(message.sequence, known.sequence)) this.#expected.set(message.token, { ...message });
  }

  /** The connection is there, or will never be. */
  take(token: number): CdcMessage | undefined {
    const message = this.#expected.get(token);
    this.#expected.delete(token);
    return message;
  }
}
