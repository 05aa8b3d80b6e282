// select.ts - decides which transport a connection will use. Pure: no I/O, no clock, no logging.

import { type Decline, type DeclineSide, decline, TRANSPORT_NAMES, type TransportName } from './decline.js';

/** A transport that has to be found usable. TCP is not among them: the connection exists already. */
export type CandidateName = Exclude<TransportName, 'tcp'>;
export const CANDIDATES: readonly CandidateName[] = ['memory', 'smcd', 'smcr'];

/** What is known of a candidate: it can be used for this connection, or why not (a probe, a missing marker, ...). */
export type Candidate = 'usable' | Decline;

export interface SelectInput {
  /** The server's transports, most preferred first. */
  readonly order: readonly TransportName[];
  /** The client's transports; their order has no meaning. */
  readonly allowed: readonly TransportName[];
  /** One entry per candidate. A missing one reads as not installed. */
  readonly candidates: Readonly<Partial<Record<CandidateName, Candidate>>>;
  /** Which end asks: it is 'local' in the declines, the other one 'peer'. Default: the client. */
  readonly end?: 'client' | 'server';
}

export interface Selection {
  /** Undefined when no transport is left: the two sides have none in common that works. */
  readonly chosen: TransportName | undefined;
  /** One per transport not chosen, in the order of TRANSPORT_NAMES. */
  readonly declines: readonly Decline[];
}

/**
 * Chooses the transport for one connection.
 *
 * The server decides: its transports are tried in its order of preference, and the first that the client allows too and
 * that is usable wins. TCP is usable wherever both sides allow it. Equal arguments give equal results, so a retry cannot
 * flap; both ends choose the same, and their declines differ in nothing but which side is 'local'. Every transport not
 * chosen appears exactly once in `declines`, with the side that refused it: the client if it does not allow it, else the
 * server if it does not list it, else whoever found it unusable, else the server, which prefers another.
 */
export function select(input: SelectInput): Selection {
  const refusals = new Map(TRANSPORT_NAMES.map((name) => [name, refusal(name, input)]));
  // A name that is no transport has no entry; a transport nobody refuses has undefined as its own.
  const chosen = input.order.find((name) => refusals.has(name) && refusals.get(name) === undefined);
  const server = sideOf('server', input);
  const declines = TRANSPORT_NAMES.filter((name) => name !== chosen).map(
    (name) => refusals.get(name) ?? decline(name, server, 'not-preferred', `the server prefers ${chosen}`),
  );
  return { chosen, declines };
}

/** Why a transport cannot be chosen, whatever the order. */
function refusal(name: TransportName, input: SelectInput): Decline | undefined {
  if (!input.allowed.includes(name)) {
    return decline(name, sideOf('client', input), 'configuration', `the client does not allow ${name}`);
  }
  if (!input.order.includes(name)) {
    return decline(name, sideOf('server', input), 'configuration', `the server does not list ${name}`);
  }
  if (name === 'tcp') return undefined;
  const candidate = input.candidates[name] ?? decline(name, 'local', 'not-installed');
  // The name is the key's, so that each transport appears once even if a probe mixed them up.
  if (candidate === 'usable') return undefined;
  return candidate.transport === name ? candidate : { ...candidate, transport: name };
}

function sideOf(who: 'client' | 'server', { end = 'client' }: SelectInput): DeclineSide {
  return who === end ? 'local' : 'peer';
}
