// smcr.ts - the backend: SMC-R over RDMA between hosts. Finding out whether the peer speaks it is the socket layer's; from the Proposal
// on it is done here.

import {
  type Backend,
  type ClcClient,
  type ClcDiscovery,
  type ClcServer,
  type ClcTransport,
  type Decline,
  decline,
  type Endpoint,
  type ListenEndpoint,
  type Registration,
  type ResolvedOptions,
  type TcpEnds,
} from '@smcjs/core/backend';
import type { SmcrEnvironment } from './backend/index.js';
import { LateServer } from './late-server.js';
import { later } from './later.js';
import { OptionDiscovery } from './tcp-option/discovery.js';
import { ibverbs } from './verbs/ibverbs.js';
import { lackingForSmcr } from './verbs/readiness.js';
import type { VerbsProvider } from './verbs-provider.js';

/** How long what was found out about the machine is believed, milliseconds. */
const PROBE_TIME = 1000;

/** Stands for an address that is not known yet. */
const SOMEWHERE: Endpoint = { address: '0.0.0.0', port: 0, family: 4 };

/** This loop as a peer, and the code for it. */
interface Loaded {
  readonly backend: typeof import('./backend/index.js');
  readonly environment: SmcrEnvironment;
}

/** Why SMC-R cannot be used over a provider, and over those of its devices that are named, if any are. */
type Lacking = (provider: VerbsProvider, devices?: readonly string[]) => Decline | undefined;

export class SmcrBackend implements Backend, ClcTransport {
  readonly name = 'smcr';
  readonly clc = this;
  readonly discovery: ClcDiscovery | undefined;
  readonly #provider: VerbsProvider;
  readonly #lacking: Lacking;
  #environment: Promise<Loaded> | undefined;
  #probed: { readonly decline: Decline | undefined; readonly until: number } | undefined;

  /**
   * `lacking`: why this provider cannot be used; asked again after a while. `discovery`: how peers are found that are not told; without
   * it only `discovery: 'inline'` finds any.
   */
  constructor(provider: VerbsProvider, lacking: Lacking, discovery?: ClcDiscovery) {
    this.#provider = provider;
    this.#lacking = lacking;
    this.discovery = discovery;
  }

  probe(options?: ResolvedOptions): Decline | undefined {
    // Devices that are named are looked for each time: what connections ask for is what there is at all.
    const names = options?.rdmaDevices ?? [];
    if (names.length > 0) return this.#lacking(this.#provider, names);
    const now = performance.now();
    if (this.#probed === undefined || now > this.#probed.until) {
      this.#probed = { decline: this.#lacking(this.#provider), until: now + PROBE_TIME };
    }
    return this.#probed.decline;
  }

  /** Clients are told by the TCP option, or by the user (`discovery`). */
  register(_endpoint: ListenEndpoint, { discovery }: ResolvedOptions, fd: number): Registration | Decline {
    const registration = { close: () => {} };
    if (discovery === 'inline') return registration;
    return this.discovery === undefined ? decline('smcr', 'local', 'unknown-peer') : (this.discovery.answers(fd) ?? registration);
  }

  mayListen(_port: number, { discovery }: ResolvedOptions, to?: Endpoint): boolean {
    return discovery === 'inline' || this.discovery?.mayAsk(to ?? SOMEWHERE) === true;
  }

  attempt(): undefined {
    return undefined;
  }

  offer(): undefined {
    return undefined;
  }

  client({ local, remote }: TcpEnds, options: ResolvedOptions, ready: (client: ClcClient | Decline) => void): void {
    const make = async (): Promise<ClcClient | Decline> => {
      const { environment, backend } = await this.#own();
      const end = await environment.local(local.address, options);
      return 'reason' in end ? end : new backend.SmcrClient(environment, end, remote.address, options);
    };
    later(make(), ready, (error) => decline('smcr', 'local', 'internal', error.message));
  }

  server(ends: TcpEnds, options: ResolvedOptions): ClcServer {
    return new LateServer(this.#own().then(({ environment, backend }) => new backend.SmcrServer(environment, ends, options)));
  }

  #own(): Promise<Loaded> {
    this.#environment ??= import('./backend/index.js').then((backend) => ({
      backend,
      environment: new backend.SmcrEnvironment(this.#provider),
    }));
    return this.#environment;
  }
}

let backend: Backend | undefined;

/** The SMC-R backend of this event loop. @smcjs/core finds it by itself when the package is installed. */
export function smcr(): Backend {
  backend ??= new SmcrBackend(ibverbs(), lackingForSmcr, new OptionDiscovery());
  return backend;
}
