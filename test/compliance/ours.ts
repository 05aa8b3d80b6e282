// ours.ts - sides that use this library, for the cases of the compliance suite.

import net from 'node:net';
import * as smc from '@smcjs/core';
import type { SmcOptions, TransportName } from '@smcjs/core';
import type { NetApi, Side, TransportCase } from './transport-case.js';

/** Small, so that everything the suite sends goes round it many times. */
const RING = 64 * 1024;

/** Linux lets the receive buffer of a loopback connection grow to the third number of tcp_rmem; the send buffer takes 4 MiB. */
export const KERNEL = 40 * 1024 * 1024;

export const plain: Side = { api: net, module: 'node:net', options: {}, transport: undefined };

export function ours(transport: TransportName, options: SmcOptions): Side {
  return { api: smc as unknown as NetApi, module: '@smcjs/core', options: { ringSize: RING, ...options }, transport };
}

/** Most bytes under way; over SMC-R there is a send buffer in front of the ring, of the same size. */
const CAPACITY: Readonly<Record<TransportName, number>> = { memory: RING, smcd: RING, smcr: 2 * RING, tcp: KERNEL };

/** Both sides may use this transport alone, and nothing else is good enough. */
export function only(transport: TransportName, more: SmcOptions = {}): TransportCase {
  const side = ours(transport, { transports: [transport], ...(transport === 'tcp' ? {} : { fallback: 'error' as const }), ...more });
  return { name: transport, client: side, server: side, capacity: CAPACITY[transport] };
}
