// clc-server.ts - the server's half of a handshake that is CLC alone (SMC-R), on an accepted TCP connection: is what the client says
// first a Proposal? If so: Accept, Confirm, or a Decline in place of any message; if not, these bytes are the program's.
//
//   listening -- Proposal --> answering -- Accept --> accepted -- Confirm --> confirmed -- the link works --> ring
//       |                         |                       |                       |
//   other bytes, an end,      Decline sent           Decline came          Decline came, or sent: crossing
//   silence                       ... and the connection is plain

import type net from 'node:net';
import { encode } from '../clc/index.js';
import type { ClcAcceptConfirm, ClcMessage } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ClcServer } from '../transport/backend.js';
import { type Decline, decline, reasonOfCode, type TransportName } from '../transport/decline.js';
import { ClcHandshake } from './clc-handshake.js';
import type { Outcome } from './client-rendezvous.js';

export class ClcServerHandshake extends ClcHandshake<'listening' | 'answering' | 'accepted'> {
  /** Made when there is a Proposal; a Decline: with what one is answered. */
  readonly #serve: () => ClcServer | Decline;
  #server: ClcServer | undefined;

  constructor(
    transport: TransportName,
    serve: () => ClcServer | Decline,
    inner: net.Socket,
    options: ResolvedOptions,
    done: (outcome: Outcome) => void,
  ) {
    super(transport, 'listening', 'read', inner, options, done);
    this.#serve = serve;
  }

  /** `first`: what has been read of the connection before. */
  start(first: Buffer): void {
    this.listen();
    this.within(this.options.handshakeTimeout, () => {
      // What waits in the kernel while this loop was busy has come in time: one look at all descriptors before it is settled.
      setImmediate(() => {
        if (!this.over && this.phase === 'listening')
          this.plain(decline(this.transport, 'peer', 'peer-not-smc', 'the client said nothing'));
      });
    });
    if (first.length > 0) this.onBytes(first);
  }

  protected override onBytes(bytes: Buffer): void {
    this.reader.push(bytes);
    this.look();
  }

  protected override onEnd(): void {
    if (this.phase === 'listening') this.plain(decline(this.transport, 'peer', 'peer-not-smc'));
    else super.onEnd();
  }

  protected override onOver(): void {
    this.#server?.release();
  }

  protected override look(): void {
    if (this.over || this.phase === 'answering') return;
    const starts = this.reader.startsLikeClc();
    if (starts === 'no') {
      if (this.phase === 'listening') return this.plain(decline(this.transport, 'peer', 'peer-not-smc'));
      if (this.phase === 'crossing') return this.crossed();
    }
    if (starts === 'more') return;
    const message = this.read(this.reader);
    if (message !== undefined) this.#take(message);
  }

  #take(message: ClcMessage): void {
    if (this.phase === 'listening' && message.type === 'proposal') return this.#proposed(message);
    if (this.phase === 'accepted' && message.type === 'confirm') return this.#confirmed(message);
    if (message.type === 'decline' && this.phase === 'crossing') return this.crossed();
    // In place of a Proposal, too: of a client that agreed to speak CLC and has nothing to propose.
    if (message.type === 'decline') {
      this.#server?.declined(message.outOfSync);
      return this.plain(decline(this.transport, 'peer', reasonOfCode(message.diagnosis)));
    }
    this.violation(`a ${message.type} that nobody waits for`);
  }

  #proposed(proposal: Extract<ClcMessage, { type: 'proposal' }>): void {
    this.phase = 'answering';
    this.version = proposal.version;
    const server = this.#serve();
    if ('reason' in server) return this.refuse({ why: server, how: 'decline' });
    this.#server = server;
    this.within(this.options.handshakeTimeout, () => this.refuse({ why: decline(this.transport, 'local', 'timeout'), how: 'decline' }));
    server.proposed(proposal, (result) => {
      if (this.over) return;
      if ('why' in result) this.refuse(result);
      else this.#accept(result);
    });
  }

  #accept(accept: ClcAcceptConfirm): void {
    this.phase = 'accepted';
    this.version = accept.version;
    this.send(encode(accept));
    this.within(this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'read')));
    this.look();
  }

  #confirmed(confirm: ClcAcceptConfirm): void {
    this.confirming();
    this.#server?.confirmed(confirm, (result) => this.settled(result));
    this.look();
  }
}
