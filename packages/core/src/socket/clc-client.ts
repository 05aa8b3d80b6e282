// clc-client.ts - the client's half of a handshake that is CLC alone (SMC-R) on a connected TCP socket: Proposal, Accept, Confirm, or
// a Decline in place of any of them (RFC 7609 section 3.1 and appendix C).
//
//   preparing -- Proposal --> proposed -- Accept --> answering -- Confirm --> confirmed -- the link works --> ring
//       |                        |                       |                        |
//       nothing was sent      Decline came          Decline sent           Decline came, or sent: crossing
//                                 ... and the connection is plain
//
// A message that does not come in time resets the connection, as in Linux: whether the other side is past it, nobody can know.

import type net from 'node:net';
import { encode } from '../clc/index.js';
import type { ClcAcceptConfirm, ClcMessage } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ClcClient, ClcTransport, TcpEnds } from '../transport/backend.js';
import { type Decline, decline, reasonOfCode, type TransportName } from '../transport/decline.js';
import { ClcHandshake } from './clc-handshake.js';
import type { Outcome } from './client-rendezvous.js';

export class ClcClientHandshake extends ClcHandshake<'preparing' | 'proposed' | 'answering'> {
  readonly #clc: ClcTransport;
  readonly #ends: TcpEnds;
  /** The server waits for CLC: where this side has nothing to propose it is told so. */
  readonly #obliged: boolean;
  #client: ClcClient | undefined;

  constructor(
    transport: TransportName,
    clc: ClcTransport,
    ends: TcpEnds,
    obliged: boolean,
    inner: net.Socket,
    options: ResolvedOptions,
    done: (outcome: Outcome) => void,
  ) {
    super(transport, 'preparing', 'connect', inner, options, done);
    this.#clc = clc;
    this.#ends = ends;
    this.#obliged = obliged;
  }

  start(): void {
    this.listen();
    this.within(this.options.handshakeTimeout, () => this.#unable(decline(this.transport, 'local', 'timeout')));
    this.#clc.client(this.#ends, this.options, (client) => {
      if (this.over) return 'proposal' in client ? client.release() : undefined;
      if (!('proposal' in client)) return this.#unable(client);
      this.#client = client;
      this.phase = 'proposed';
      this.send(encode(client.proposal));
      this.within(this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'connect')));
      this.look();
    });
  }

  protected override onBytes(bytes: Buffer): void {
    this.reader.push(bytes);
    if (this.phase !== 'preparing') this.look();
    // Before the Proposal only who has agreed to speaks CLC.
    else if (!this.#obliged) this.plain(decline(this.transport, 'peer', 'peer-not-smc', 'the server spoke first'));
  }

  /** There is nothing to propose. */
  #unable(why: Decline): void {
    if (this.#obliged) this.sendDecline(why, 'smcr');
    this.plain(why);
  }

  protected override onEnd(): void {
    if (this.phase === 'preparing' && !this.#obliged)
      this.plain(decline(this.transport, 'peer', 'peer-not-smc', 'the server closed the connection'));
    else super.onEnd();
  }

  protected override onOver(): void {
    this.#client?.release();
  }

  /** What has arrived, where something is expected. While the Confirm is being made the server has nothing to say. */
  protected override look(): void {
    if (this.over || this.phase === 'answering' || this.reader.length === 0) return;
    if (this.phase === 'crossing') return this.#cross();
    const message = this.read(this.reader);
    if (message !== undefined) this.#take(message);
  }

  #take(message: ClcMessage): void {
    if (message.type === 'decline') return this.plain(decline(this.transport, 'peer', reasonOfCode(message.diagnosis)));
    if (message.type !== 'accept' || this.phase !== 'proposed') return this.violation(`a ${message.type} that nobody waits for`);
    this.phase = 'answering';
    this.version = message.version;
    this.within(this.options.handshakeTimeout, () => this.refuse({ why: decline(this.transport, 'local', 'timeout'), how: 'decline' }));
    this.#client?.accepted(message, (result) => {
      if (this.over) return;
      if ('why' in result) this.refuse(result);
      else this.#confirm(result);
    });
  }

  #confirm(confirm: ClcAcceptConfirm): void {
    this.confirming();
    this.send(encode(confirm));
    this.#client?.confirmed((result) => this.settled(result));
    this.look();
  }

  /** A Decline that crossed ours is the last of CLC; anything else is payload. */
  #cross(): void {
    const starts = this.reader.startsLikeClc();
    if (starts === 'no') return this.crossed();
    const message = starts === 'yes' ? this.read(this.reader) : undefined;
    if (message?.type === 'decline') this.crossed();
    else if (message !== undefined) this.violation(`a ${message.type} in place of a Decline`);
  }
}
