// endpoint.ts - IP endpoints in the one form in which they are compared.

import type { AddressInfo } from 'node:net';
import type { Endpoint } from './backend.js';

/** A numeric IP address as endpoints compare it: v4-mapped IPv6 is IPv4. */
export function foldAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

export function endpointOf(address: string | undefined, port: number | undefined): Endpoint | undefined {
  if (address === undefined || port === undefined) return undefined;
  const folded = foldAddress(address);
  return { address: folded, port, family: folded.includes(':') ? 6 : 4 };
}

/** What a native handle calls back its names with. */
export type NameInto = (out: Partial<AddressInfo>) => number;
