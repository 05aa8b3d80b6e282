// memory.ts - the built-in backend for two ends in one event loop: rings over SharedArrayBuffers, pure TypeScript.
//
// Finding each other is a map in this module (modules are per event loop): a client notes the tuple of its connection
// when connect() has been called, a server looks for it when it has accepted.

import { randomBytes } from 'node:crypto';
import { acceptConfirmOf, type ClcAcceptConfirm, type ClcProposal, isProposalOf, matches, proposalOf } from '../clc/index.js';
import type { ResolvedOptions } from '../options.js';
import { allocateShared, type RingMemory } from '../ring/layout.js';
import type {
  AcceptedConnection,
  Backend,
  ClientAttempt,
  ClientOffer,
  Endpoint,
  ListenEndpoint,
  Registration,
  ServerOffer,
} from '../transport/backend.js';
import type { Channel } from '../transport/channel.js';
import { DECISION, decide } from '../transport/decision.js';
import { type Decline, decline } from '../transport/decline.js';
import { MemoryChannel } from './memory-channel.js';

const tuple = (server: Endpoint, client: Endpoint) => `${server.address} ${server.port} ${client.address} ${client.port}`;

/** Both halves of one connection to be. */
class Pair {
  readonly instance = randomBytes(16);
  readonly tokens = { client: randomBytes(8).readBigUInt64LE(), server: randomBytes(8).readBigUInt64LE() };
  readonly toServer: RingMemory;
  readonly toClient: RingMemory;
  #server: MemoryChannel | undefined;
  #client: MemoryChannel | undefined;

  constructor(server: ResolvedOptions, client: ResolvedOptions) {
    this.toServer = allocateShared(server.ringSize);
    this.toClient = allocateShared(client.ringSize);
  }

  get server(): MemoryChannel {
    this.#server ??= this.#make(this.toServer, this.toClient, () => this.#client);
    return this.#server;
  }

  get client(): MemoryChannel {
    this.#client ??= this.#make(this.toClient, this.toServer, () => this.#server);
    return this.#client;
  }

  #make(own: RingMemory, peer: RingMemory, other: () => MemoryChannel | undefined): MemoryChannel {
    return new MemoryChannel(own, peer, () => other()?.wake());
  }
}

class MemoryBackend implements Backend {
  readonly name = 'memory';
  readonly #listeners = new Map<number, Set<ListenEndpoint>>();
  readonly #attempts = new Map<string, MemoryAttempt>();

  probe(): Decline | undefined {
    return undefined;
  }

  register(endpoint: ListenEndpoint): Registration {
    const onPort = this.#listeners.get(endpoint.port) ?? new Set();
    this.#listeners.set(endpoint.port, onPort.add(endpoint));
    return {
      close: () => {
        onPort.delete(endpoint);
        if (onPort.size === 0) this.#listeners.delete(endpoint.port);
      },
    };
  }

  mayListen(port: number): boolean {
    return this.#listeners.has(port);
  }

  attempt(to: Endpoint, options: ResolvedOptions): ClientAttempt | undefined {
    const reached = [...(this.#listeners.get(to.port) ?? [])].some((listener) => {
      if (listener.address === to.address) return true;
      return listener.address === '::' ? to.family === 6 || listener.dual : listener.address === '0.0.0.0' && to.family === 4;
    });
    return reached ? new MemoryAttempt(this.#attempts, to, options) : undefined;
  }

  offer({ local, remote }: AcceptedConnection, options: ResolvedOptions): ServerOffer | undefined {
    const attempt = local && remote && this.#attempts.get(tuple(local, remote));
    return attempt?.meet(options);
  }
}

class MemoryAttempt implements ClientAttempt {
  readonly fd = undefined;
  readonly #attempts: Map<string, MemoryAttempt>;
  readonly #to: Endpoint;
  readonly #options: ResolvedOptions;
  #key = '';
  #found: ((offer: ClientOffer | undefined) => void) | undefined;
  #offer: ClientOffer | undefined;
  #over = false;

  constructor(attempts: Map<string, MemoryAttempt>, to: Endpoint, options: ResolvedOptions) {
    this.#attempts = attempts;
    this.#to = to;
    this.#options = options;
  }

  connecting(source: Endpoint): void {
    this.#key = tuple(this.#to, source);
    if (!this.#over) this.#attempts.set(this.#key, this);
  }

  wait(found: (offer: ClientOffer | undefined) => void): void {
    if (this.#over) found(this.#offer);
    else this.#found = found;
  }

  abandon(): void {
    this.#finish(undefined);
  }

  /** The server has accepted: both halves meet. */
  meet(options: ResolvedOptions): ServerOffer {
    const pair = new Pair(options, this.#options);
    decide(pair.toServer.words, DECISION.offered, DECISION.claimed);
    // Not from within the server's accept: the client's side may run user code.
    setImmediate(() => this.#finish(new MemoryClientOffer(pair)));
    return new MemoryServerOffer(pair);
  }

  #finish(offer: ClientOffer | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#offer = offer;
    this.#attempts.delete(this.#key);
    this.#found?.(offer);
  }
}

const violation = (what: string) => decline('memory', 'peer', 'peer-violation', what);

class MemoryClientOffer implements ClientOffer {
  readonly proposal: ClcProposal;
  readonly decisionWords: Int32Array;
  readonly #pair: Pair;

  constructor(pair: Pair) {
    this.#pair = pair;
    this.proposal = proposalOf(pair.instance);
    this.decisionWords = pair.toServer.words;
  }

  accepted(accept: ClcAcceptConfirm): ClcAcceptConfirm | Decline {
    const { instance, tokens, toServer, toClient } = this.#pair;
    if (accept.path !== 'smcd' || !matches(accept, { instance, token: tokens.server, capacity: toServer.capacity })) {
      return violation('the Accept is not of this connection');
    }
    return acceptConfirmOf('confirm', { instance, token: tokens.client, capacity: toClient.capacity, linkId: 0 });
  }

  channel(): Channel {
    return this.#pair.client;
  }

  /** Memory belongs to the garbage collector. */
  release(): void {}
}

class MemoryServerOffer implements ServerOffer {
  readonly decisionWords: Int32Array;
  readonly #pair: Pair;

  constructor(pair: Pair) {
    this.#pair = pair;
    this.decisionWords = pair.toServer.words;
  }

  onAnswer(answered: (claimed: boolean) => void): void {
    setImmediate(answered, true);
  }

  proposed(proposal: ClcProposal): ClcAcceptConfirm | Decline {
    const { instance, tokens, toServer } = this.#pair;
    if (!isProposalOf(proposal, instance)) return violation('the Proposal is not of this connection');
    return acceptConfirmOf('accept', { instance, token: tokens.server, capacity: toServer.capacity, linkId: 0 });
  }

  confirmed(confirm: ClcAcceptConfirm): Decline | undefined {
    const { instance, tokens, toClient } = this.#pair;
    if (confirm.path === 'smcd' && matches(confirm, { instance, token: tokens.client, capacity: toClient.capacity })) return undefined;
    return violation('the Confirm is not of this connection');
  }

  channel(): Channel {
    return this.#pair.server;
  }

  release(): void {}
}

let backend: Backend | undefined;

/** The memory backend of this event loop. */
export function memory(): Backend {
  backend ??= new MemoryBackend();
  return backend;
}
