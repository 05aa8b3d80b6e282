// found.ts - the backends this process has found, by transport.

import type { Backend } from './backend.js';
import type { Decline, TransportName } from './decline.js';

/** A backend, or why there is none. */
export const found = new Map<Exclude<TransportName, 'tcp'>, Backend | Decline>();

/**
 * Has connections and servers of this event loop use a backend from now on, in place of the one of its package: for RDMA of another
 * kind than libibverbs, and for tests.
 */
export function useBackend(backend: Backend & { readonly name: Exclude<TransportName, 'tcp'> }): void {
  found.set(backend.name, backend);
}
