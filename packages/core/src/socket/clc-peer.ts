// clc-peer.ts - how a client gets to know that the server at an address speaks CLC, without memory in common: the user has said so
// (`discovery: 'inline'`), or the client asks by a TCP option while it connects.

import type { ResolvedOptions } from '../options.js';
import type { Backend, ClcDiscovery, ClcTransport, Endpoint } from '../transport/backend.js';
import { usableBackend } from '../transport/backends.js';
import type { TransportName } from '../transport/decline.js';

/** A transport by which a server may be met. `asks`: by what it is asked; undefined: the user has said that it speaks CLC. */
export interface ClcPeer {
  readonly name: TransportName;
  readonly clc: ClcTransport;
  readonly asks: ClcDiscovery | undefined;
}

/** The usable backends of what the options name, in their order. */
export function usable(own: ResolvedOptions): Backend[] {
  return own.transports.flatMap((name) => {
    const found = name === 'tcp' ? undefined : usableBackend(name);
    return found === undefined || 'reason' in found ? [] : [found];
  });
}

/** The transport by which a server at this address may be met; undefined when there is no way to know that it speaks CLC. */
export function clcPeer(own: ResolvedOptions, to: Endpoint): ClcPeer | undefined {
  for (const name of own.transports) {
    // Of every plain connect, too: no list is made.
    const found = name === 'tcp' ? undefined : usableBackend(name);
    if (found === undefined || 'reason' in found || found.clc === undefined) continue;
    const { clc } = found;
    if (own.discovery === 'inline') return { name, clc, asks: undefined };
    if (clc.discovery?.mayAsk(to)) return { name, clc, asks: clc.discovery };
  }
  return undefined;
}
