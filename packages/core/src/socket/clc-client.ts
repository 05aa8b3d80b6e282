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
import { ClcReader, encode } from '../clc/index.js';
import type { ClcAcceptConfirm, ClcMessage, ClcVersion } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ClcClient, ClcRefusal, ClcTransport, TcpEnds } from '../transport/backend.js';
import type { Channel } from '../transport/channel.js';
import { type Decline, decline, reasonOfCode, type TransportName } from '../transport/decline.js';
import type { Outcome } from './client-rendezvous.js';
import { Handshake } from './handshake.js';

/** After a Decline of ours for a link that did not come to work, the peer's own may be on its way, milliseconds. As long as Linux waits. */
export const CROSSING_WAIT = 1000;

export class ClcClientHandshake extends Handshake {
  readonly #transport: TransportName;
  readonly #clc: ClcTransport;
  readonly #ends: TcpEnds;
  readonly #reader = new ClcReader();
  #client: ClcClient | undefined;
  #phase: 'preparing' | 'proposed' | 'answering' | 'confirmed' | 'crossing' = 'preparing';
  #version: ClcVersion = 2;
  /** Why the connection becomes plain, while a Decline of the server may be on its way. */
  #why: Decline | undefined;
  /** The TCP connection has ended behind the Confirm. */
  #lost = false;

  constructor(
    transport: TransportName,
    clc: ClcTransport,
    ends: TcpEnds,
    inner: net.Socket,
    options: ResolvedOptions,
    done: (outcome: Outcome) => void,
  ) {
    super(inner, options, done);
    this.#transport = transport;
    this.#clc = clc;
    this.#ends = ends;
  }

  start(): void {
    this.listen();
    this.within(this.options.handshakeTimeout, () => this.#plain(decline(this.#transport, 'local', 'timeout')));
    this.#clc.client(this.#ends, this.options, (client) => {
      if (this.over) return 'proposal' in client ? client.release() : undefined;
      if (!('proposal' in client)) return this.#plain(client);
      this.#client = client;
      this.#phase = 'proposed';
      this.send(encode(client.proposal));
      this.within(this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'connect')));
    });
  }

  protected override onBytes(bytes: Buffer): void {
    this.#reader.push(bytes);
    // Before the Proposal nobody speaks CLC.
    if (this.#phase === 'preparing') this.#plain(decline(this.#transport, 'peer', 'peer-not-smc', 'the server spoke first'));
    else this.#look();
  }

  protected override onEnd(): void {
    if (this.#phase === 'preparing') this.#plain(decline(this.#transport, 'peer', 'peer-not-smc', 'the server closed the connection'));
    else if (this.#phase === 'crossing') this.#plain(this.#why as Decline);
    else this.onLost(systemError('ECONNRESET', 'read'));
  }

  /** With the Confirm exchanged the link tells whether the peer is there, as from then on: see Channel.suspect. */
  protected override onLost(error: Error): void {
    if (this.#phase === 'confirmed') this.#lost = true;
    else super.onLost(error);
  }

  protected override onOver(): void {
    this.#client?.release();
  }

  /** What has arrived, where something is expected. While the Confirm is being made the server has nothing to say. */
  #look(): void {
    if (this.over || this.#phase === 'answering') return;
    if (this.#phase === 'crossing') return this.#cross();
    const message = this.read(this.#reader);
    if (message !== undefined) this.#take(message);
  }

  #take(message: ClcMessage): void {
    if (message.type === 'decline') return this.#plain(decline(this.#transport, 'peer', reasonOfCode(message.diagnosis)));
    if (message.type !== 'accept' || this.#phase !== 'proposed') return this.violation(`a ${message.type} that nobody waits for`);
    this.#phase = 'answering';
    this.#version = message.version;
    this.within(this.options.handshakeTimeout, () => this.#refuse({ why: decline(this.#transport, 'local', 'timeout'), how: 'decline' }));
    this.#client?.accepted(message, (result) => {
      if (this.over) return;
      if ('why' in result) this.#refuse(result);
      else this.#confirm(result);
    });
  }

  #confirm(confirm: ClcAcceptConfirm): void {
    this.#phase = 'confirmed';
    this.send(encode(confirm));
    // The transport has time-outs of its own; this is for a device that does not answer.
    this.within(2 * this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', 'connect')));
    this.#client?.confirmed((result) => this.#settled(result));
    this.#look();
  }

  #settled(result: Channel | ClcRefusal): void {
    if (this.over) return;
    if ('why' in result) return this.#refuse(result);
    if (this.#reader.length > 0) return this.violation('bytes behind an Accept');
    this.finish({ kind: 'ring', channel: result });
  }

  #refuse({ why, how }: ClcRefusal): void {
    if (how === 'reset' || this.#lost) return this.fail(systemError('ECONNRESET', 'connect'));
    this.sendDecline(why, 'smcr', this.#version, how === 'out-of-sync');
    if (this.#phase !== 'confirmed') return this.#plain(why);
    this.#why = why;
    this.#phase = 'crossing';
    this.within(CROSSING_WAIT, () => this.#plain(why));
    this.#look();
  }

  /** A Decline that crossed ours is the last of CLC; anything else is payload. */
  #cross(): void {
    const starts = this.#reader.startsLikeClc();
    if (starts === 'no') return this.#plain(this.#why as Decline);
    const message = starts === 'yes' ? this.read(this.#reader) : undefined;
    if (message?.type === 'decline') this.#plain(this.#why as Decline);
    else if (message !== undefined) this.violation(`a ${message.type} in place of a Decline`);
  }

  #plain(why: Decline): void {
    this.finish({ kind: 'tcp', declines: [why], rest: this.#reader.rest() });
  }
}
