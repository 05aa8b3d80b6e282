// smcd.ts - the backend: shared memory between event loops of one host, in the manner of SMC-D.

import { getSystemErrorName } from 'node:util';
import {
  type AcceptedConnection,
  type Backend,
  type ClientAttempt,
  type Decline,
  decline,
  type Endpoint,
  type ListenEndpoint,
  type Registration,
  type ResolvedOptions,
  type ServerOffer,
  usableCores,
} from '@smcjs/core/backend';
import { isDecline, loadAddon } from './addon.js';
import { kernelLacks } from './kernel.js';
import { rehearse } from './rehearsal.js';
import { SmcdAttempt, isDistrusted } from './smcd-client.js';
import { smcdEnvironment } from './smcd-environment.js';
import { makeOffer } from './smcd-server.js';

class SmcdBackend implements Backend {
  readonly name = 'smcd';

  constructor() {
    // Now, while modules are loaded, rather than in the first connect(), of which each is a few hundredths. Names are left when they
    // are needed.
    const addon = loadAddon();
    if (!isDecline(addon)) kernelLacks(addon);
    usableCores();
    rehearse();
  }

  probe(): Decline | undefined {
    const environment = smcdEnvironment();
    return isDecline(environment) ? environment : undefined;
  }

  register(endpoint: ListenEndpoint, { peerUsers }: ResolvedOptions, listening: number): Registration | Decline {
    const environment = smcdEnvironment();
    if (isDecline(environment)) return environment;
    const { addon, registry } = environment;
    registry.sweep();
    const fd = registry.mark(endpoint, peerUsers.length > 0);
    if (fd < 0) return decline('smcd', 'local', 'runtime-dir', `marker of port ${endpoint.port}: ${getSystemErrorName(fd)}`);
    // Where that can't be had, an address that is translated can make a stranger look like a client of ours.
    if (listening >= 0) addon.saveSyn(listening);
    let open = true;
    return {
      close() {
        if (open) addon.closeDescriptor(fd);
        open = false;
      },
    };
  }

  mayListen(port: number, { peerUsers }: ResolvedOptions, to?: Endpoint): boolean {
    const environment = smcdEnvironment();
    if (isDecline(environment)) return false;
    const { registry } = environment;
    return to === undefined ? registry.marksPort(port, peerUsers) : !isDistrusted(to) && registry.marks(to, peerUsers);
  }

  attempt(to: Endpoint, options: ResolvedOptions): ClientAttempt | undefined {
    const environment = smcdEnvironment();
    if (isDecline(environment) || isDistrusted(to) || !environment.registry.marks(to, options.peerUsers)) return undefined;
    return SmcdAttempt.start(environment, to, options);
  }

  offer(connection: AcceptedConnection, options: ResolvedOptions): ServerOffer | Decline | undefined {
    const environment = smcdEnvironment();
    return isDecline(environment) || connection.fd < 0 ? undefined : makeOffer(environment, connection.fd, options);
  }
}

let backend: Backend | undefined;

/** The SMC-D backend of this event loop. @smcjs/core finds it by itself when the package is installed. */
export function smcd(): Backend {
  backend ??= new SmcdBackend();
  return backend;
}
