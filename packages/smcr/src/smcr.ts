// smcr.ts - the backend: SMC-R over RDMA between hosts. Finding out whether the peer speaks it is the socket layer's; from the Proposal
// on it is done here.

import {
  type Backend,
  type ClcClient,
  type ClcServer,
  type ClcTransport,
  type Decline,
  decline,
  type ListenEndpoint,
  type Registration,
  type ResolvedOptions,
  type TcpEnds,
} from '@smcjs/core/backend';
import { SmcrClient } from './backend/client.js';
import { SmcrEnvironment } from './backend/environment.js';
import { later } from './backend/later.js';
import { SmcrServer } from './backend/server.js';
import { ibverbs } from './verbs/ibverbs.js';
import { lackingForSmcr } from './verbs/readiness.js';
import type { VerbsProvider } from './verbs-provider.js';

/** How long what was found out about the machine is believed, milliseconds. */
const PROBE_TIME = 1000;

export class SmcrBackend implements Backend, ClcTransport {
  readonly name = 'smcr';
  readonly clc = this;
  readonly #provider: VerbsProvider;
  readonly #lacking: (provider: VerbsProvider) => Decline | undefined;
  #environment: SmcrEnvironment | undefined;
  #probed: { readonly decline: Decline | undefined; readonly until: number } | undefined;

  /** `lacking`: why this provider cannot be used; asked again after a while. */
  constructor(provider: VerbsProvider, lacking: (provider: VerbsProvider) => Decline | undefined) {
    this.#provider = provider;
    this.#lacking = lacking;
  }

  probe(): Decline | undefined {
    const now = performance.now();
    if (this.#probed === undefined || now > this.#probed.until) {
      this.#probed = { decline: this.#lacking(this.#provider), until: now + PROBE_TIME };
    }
    return this.#probed.decline;
  }

  /** Clients are not told: they know (`discovery`), or they do not ask. */
  register(_endpoint: ListenEndpoint, { discovery }: ResolvedOptions): Registration | Decline {
    return discovery === 'inline' ? { close: () => {} } : decline('smcr', 'local', 'unknown-peer');
  }

  mayListen(_port: number, { discovery }: ResolvedOptions): boolean {
    return discovery === 'inline';
  }

  attempt(): undefined {
    return undefined;
  }

  offer(): undefined {
    return undefined;
  }

  client({ local, remote }: TcpEnds, options: ResolvedOptions, ready: (client: ClcClient | Decline) => void): void {
    const client = this.#own
      .local(local.address, options)
      .then((end) => ('reason' in end ? end : new SmcrClient(this.#own, end, remote.address, options)));
    later<ClcClient | Decline>(client, ready, (error) => decline('smcr', 'local', 'internal', error.message));
  }

  server(ends: TcpEnds, options: ResolvedOptions): ClcServer {
    return new SmcrServer(this.#own, ends, options);
  }

  get #own(): SmcrEnvironment {
    this.#environment ??= new SmcrEnvironment(this.#provider);
    return this.#environment;
  }
}

let backend: Backend | undefined;

/** The SMC-R backend of this event loop. @smcjs/core finds it by itself when the package is installed. */
export function smcr(): Backend {
  backend ??= new SmcrBackend(ibverbs(), lackingForSmcr);
  return backend;
}
