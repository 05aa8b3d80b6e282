// client-declines.ts - why transports are not used for a connection that a client makes.

import type net from 'node:net';
import { SmcError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { Backend } from '../transport/backend.js';
import { usableBackend } from '../transport/backends.js';
import { absent, type Decline, decline, type TransportName } from '../transport/decline.js';
import { CANDIDATES, type Candidate, type CandidateName, select } from '../transport/select.js';

type Source = Pick<net.TcpNetConnectOpts, 'localAddress' | 'localPort'>;

/** A {@link Decline} for each transport but TCP, when none is used. */
export function declinesOf(own: ResolvedOptions, usable: (backend: Backend) => Candidate): readonly Decline[] {
  const candidates: Partial<Record<CandidateName, Candidate>> = {};
  for (const name of CANDIDATES) {
    if (!own.transports.includes(name)) continue;
    const found = usableBackend(name);
    candidates[name] = 'reason' in found ? found : usable(found);
  }
  // Where TCP is used nevertheless, it is no transport that was declined.
  const chosen = Object.values(candidates).includes('usable');
  const { declines } = select({ order: own.transports, allowed: own.transports, candidates });
  return chosen ? declines : declines.filter(({ transport }) => transport !== 'tcp');
}

/** For a connection that is node:net's. */
export const outOfReach = (name: TransportName): Decline =>
  decline(name, 'path', 'not-tcp', 'a path, a descriptor, a chosen source or a block list: node:net connects it');

/** A transport that has to choose the source of a connection by itself cannot be had with one that is given. */
export const choosesSource = ({ localAddress, localPort }: Source): boolean => localAddress !== undefined || localPort !== undefined;

/** Nobody was found to speak this transport: why that is so at the client. */
export const notFound = ({ name, clc }: Backend, options: Source): Decline =>
  choosesSource(options) && clc === undefined ? outOfReach(name) : absent(name, 'client');

/** Nobody at the address speaks any of them. */
export const nobody = (own: ResolvedOptions, options: Source) => declinesOf(own, (backend) => notFound(backend, options));

/** TCP is all that is left and not good enough. */
export function refusal(declines: readonly Decline[]): SmcError {
  const reasons = declines.map(({ transport, detail }) => `${transport}: ${detail}`).join('; ');
  const error = new SmcError('ERR_SMC_FALLBACK', `only TCP is left (${reasons})`);
  error.declines = declines;
  return error;
}
