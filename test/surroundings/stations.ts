// stations.ts - starting the processes of these tests, where and as whom a test wants them, and asking what they saw.

import type { ListenOptions } from 'node:net';
import type { SmcOptions } from '@smcjs/core';
import { expect } from 'vitest';
import type { SideArgs } from '../peers/lib.js';
import { type Message, Peer, type PeerOptions } from '../support/peer.js';
import type { ClientArgs, Dial, Dialed, First, RelayArgs, ServerArgs } from './station.js';

export type Library = 'ours' | 'plain net';

const side = (library: Library, options: SmcOptions = {}): SideArgs => ({
  module: library === 'ours' ? '@smcjs/core' : 'node:net',
  options,
});

const start = (station: ServerArgs | ClientArgs | RelayArgs, where: PeerOptions): Peer =>
  new Peer('../surroundings/station', station, where);

export interface Listener {
  readonly peer: Peer;
  readonly port: number;
}

export interface Serving {
  readonly first?: First;
  readonly name?: string;
  readonly listen?: ListenOptions;
  readonly options?: SmcOptions;
  readonly where?: PeerOptions;
}

/** A server that listens, on 127.0.0.1 unless told otherwise. */
export async function serve(
  library: Library,
  { first = 'client', name = 'server', listen, options, where = {} }: Serving = {},
): Promise<Listener> {
  const at = { port: 0, ...(listen ?? { host: '127.0.0.1' }) };
  const peer = start({ role: 'server', side: side(library, options), first, name, listen: at }, where);
  return { peer, port: (await peer.message('listening')).port as number };
}

/** A relay from a port of its own to `port`, both on 127.0.0.1. */
export async function relay(library: Library, port: number): Promise<Listener> {
  const peer = start({ role: 'relay', side: side(library), port }, {});
  return { peer, port: (await peer.message('listening')).port as number };
}

/** One step of a client: `count` connections to `to`, started together. */
export const step = (to: Dial['to'], rest: Partial<Omit<Dial, 'to'>> = {}): Dial => ({
  to,
  first: 'client',
  count: 1,
  length: 10_000,
  ...rest,
});

export function client(library: Library, dials: readonly Dial[], where: PeerOptions = {}): Peer {
  return start({ role: 'client', side: side(library), dials }, where);
}

/** Everything a client saw, once it has ended well. */
export async function dialed(peer: Peer): Promise<Dialed[]> {
  const all = (await peer.messages('dialed')) as unknown as Dialed[];
  expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
  return all;
}

export const dial = (library: Library, dials: readonly Dial[], where: PeerOptions = {}): Promise<Dialed[]> =>
  dialed(client(library, dials, where));

/** Every connection worked, and nothing was lost, added or given to somebody else. */
export function expectExact(all: readonly Dialed[], count: number): void {
  expect(all.length).toBe(count);
  expect(all.filter(({ exact, failure }) => !exact || failure !== undefined)).toEqual([]);
}

export const transports = (all: readonly Dialed[]): string[] => [...new Set(all.map(({ transport }) => transport))].sort();

/** Why a transport was not used, as one side says. */
export function reasonOf(told: Message | Dialed | undefined, transport = 'smcd'): string | undefined {
  const declines = told?.declines as Dialed['declines'];
  return declines?.find((decline) => decline.transport === transport)?.reason;
}

/** What the server said about so many connections. */
export async function accepted(peer: Peer, count: number): Promise<Message[]> {
  const all: Message[] = [];
  while (all.length < count) all.push(await peer.message('accepted'));
  return all;
}
