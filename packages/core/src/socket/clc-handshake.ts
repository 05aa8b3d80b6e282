// clc-handshake.ts - what both halves of a handshake that is CLC alone (SMC-R) have in common: refusing by a Decline, a Decline of the
// peer that crosses it, and the TCP connection that ends behind the Confirm.

import type net from 'node:net';
import { ClcReader } from '../clc/index.js';
import type { ClcVersion } from '../clc/messages.js';
import { systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { ClcRefusal } from '../transport/backend.js';
import type { Channel } from '../transport/channel.js';
import type { Decline, TransportName } from '../transport/decline.js';
import type { Outcome } from './client-rendezvous.js';
import { Handshake } from './handshake.js';

/** After a Decline of ours for a link that did not come to work, the peer's own may be on its way, milliseconds. As long as Linux waits. */
const CROSSING_WAIT = 1000;

export abstract class ClcHandshake<Phase extends string> extends Handshake {
  protected readonly transport: TransportName;
  protected readonly reader = new ClcReader();
  protected phase: Phase | 'confirmed' | 'crossing';
  /** Of CLC, as the last message of the peer has it. */
  protected version: ClcVersion = 2;
  /** Of the errors a handshake fails with. */
  readonly #syscall: 'connect' | 'read';
  /** Why the connection becomes plain, while a Decline of the peer may be on its way. */
  #why: Decline | undefined;
  /** The TCP connection has ended behind the Confirm. */
  #lost = false;

  constructor(
    transport: TransportName,
    first: Phase,
    syscall: 'connect' | 'read',
    inner: net.Socket,
    options: ResolvedOptions,
    done: (outcome: Outcome) => void,
  ) {
    super(inner, options, done);
    this.transport = transport;
    this.phase = first;
    this.#syscall = syscall;
  }

  /** Looks at what has arrived, where something is expected. */
  protected abstract look(): void;

  /** With the Confirm exchanged the link tells whether the peer is there, as from then on: see Channel.suspect. */
  protected override onLost(error: Error): void {
    if (this.phase === 'confirmed') this.#lost = true;
    else super.onLost(error);
  }

  protected override onEnd(): void {
    if (this.phase === 'crossing') this.crossed();
    else this.onLost(systemError('ECONNRESET', 'read'));
  }

  /** From now on the transport works on what follows the Confirm: it has time-outs of its own, ours is for a device that does not answer. */
  protected confirming(): void {
    this.phase = 'confirmed';
    this.within(2 * this.options.handshakeTimeout, () => this.fail(systemError('ETIMEDOUT', this.#syscall)));
  }

  protected settled(result: Channel | ClcRefusal): void {
    if (this.over) return;
    if ('why' in result) return this.refuse(result);
    if (this.reader.length > 0) return this.violation('bytes behind the last message of the handshake');
    this.finish({ kind: 'ring', channel: result });
  }

  protected refuse({ why, how }: ClcRefusal): void {
    if (how === 'reset' || this.#lost) return this.fail(systemError('ECONNRESET', this.#syscall));
    this.sendDecline(why, 'smcr', this.version, how === 'out-of-sync');
    if (this.phase !== 'confirmed') return this.plain(why);
    this.#why = why;
    this.phase = 'crossing';
    this.within(CROSSING_WAIT, () => this.crossed());
    this.look();
  }

  /** Nothing of CLC comes any more behind our Decline. */
  protected crossed(): void {
    this.plain(this.#why as Decline);
  }

  protected plain(why: Decline): void {
    this.finish({ kind: 'tcp', declines: [why], rest: this.reader.rest() });
  }
}
