// late-server.ts - the server's half of a handshake whose code is still being loaded.

import { type ClcAcceptConfirm, type ClcProposal, type ClcRefusal, type ClcServer, decline } from '@smcjs/core/backend';
import type { Channel } from '@smcjs/core/backend';

export class LateServer implements ClcServer {
  readonly #loading: Promise<ClcServer>;
  #server: ClcServer | undefined;
  #released = false;

  constructor(loading: Promise<ClcServer>) {
    this.#loading = loading;
  }

  proposed(proposal: ClcProposal, done: (result: ClcAcceptConfirm | ClcRefusal) => void): void {
    this.#loading.then(
      (server) => {
        if (this.#released) return server.release();
        this.#server = server;
        server.proposed(proposal, done);
      },
      (error: Error) => process.nextTick(done, { why: decline('smcr', 'local', 'internal', error.message), how: 'decline' }),
    );
  }

  /** Only after an Accept: it is loaded. */
  confirmed(confirm: ClcAcceptConfirm, done: (result: Channel | ClcRefusal) => void): void {
    this.#server?.confirmed(confirm, done);
  }

  declined(outOfSync: boolean): void {
    this.#server?.declined(outOfSync);
  }

  release(): void {
    this.#released = true;
    this.#server?.release();
  }
}
