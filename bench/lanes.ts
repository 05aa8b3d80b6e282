// lanes.ts - what is measured side by side: each lane is one transport in one mode of use.

/** As in the results. `tcp` and `uds` are node:net; `tcp` in mode `smc-fallback` is this library's Socket on plain TCP. */
export type TransportName = 'tcp' | 'uds' | 'ipc' | 'zeromq' | 'smcd';

export const TRANSPORTS: readonly TransportName[] = ['tcp', 'uds', 'ipc', 'zeromq', 'smcd'];

/**
 * How the connection is used. `stream`: write() and 'data'. `ring`: reserve/commit and peek/release in place.
 * `records`: send and receive in batches, boundaries kept. `-off`: the same with busyPoll 'off'; without it, 'auto'.
 */
export type Mode =
  | 'stream'
  | 'nagle'
  | 'advanced'
  | 'pair'
  | 'smc-fallback'
  | 'ring'
  | 'records'
  | 'stream-off'
  | 'ring-off'
  | 'records-off';

export interface Lane {
  readonly transport: TransportName;
  readonly mode: Mode;
  /** One line for tables. */
  readonly label: string;
}

const lane = (transport: TransportName, mode: Mode, label: string): Lane => ({ transport, mode, label });

/** All lanes, in the order in which a round measures them. */
export const LANES: readonly Lane[] = [
  lane('tcp', 'stream', 'TCP (node:net)'),
  lane('tcp', 'nagle', 'TCP, Nagle on'),
  lane('uds', 'stream', 'Unix socket'),
  lane('ipc', 'advanced', 'child_process IPC'),
  lane('zeromq', 'pair', 'zeromq ipc'),
  lane('tcp', 'smc-fallback', 'our Socket on TCP'),
  lane('smcd', 'stream', 'smcd stream'),
  lane('smcd', 'stream-off', 'smcd stream, no polling'),
  lane('smcd', 'ring', 'smcd ring'),
  lane('smcd', 'ring-off', 'smcd ring, no polling'),
  lane('smcd', 'records', 'smcd records'),
  lane('smcd', 'records-off', 'smcd records, no polling'),
];

export const laneKey = (of: Pick<Lane, 'transport' | 'mode'>): string => `${of.transport}/${of.mode}`;

/**
 * TCP is measured with noDelay, as node:http uses it: every message leaves when it is written, as it does on every other
 * lane. With Nagle's algorithm (node:net's default) the kernel gathers small messages while an acknowledgement is out,
 * which is faster one way and only there; that is a lane of its own, and not what ratios refer to.
 */
export const noDelayOf = (of: Lane): boolean => of.mode !== 'nagle';

export const busyPollOf = (of: Lane): 'auto' | 'off' => (of.mode.endsWith('-off') ? 'off' : 'auto');

/** How the bytes go in and out, whatever the polling. */
export const usageOf = (of: Lane): 'stream' | 'ring' | 'records' =>
  of.mode.startsWith('ring') ? 'ring' : of.mode.startsWith('records') ? 'records' : 'stream';

/** The lane of that transport and mode. @throws RangeError when there is none. */
export function laneOf(transport: string, mode: string): Lane {
  const found = LANES.find((candidate) => candidate.transport === transport && candidate.mode === mode);
  if (found === undefined) throw new RangeError(`no lane ${transport}/${mode}; there are ${LANES.map(laneKey).join(', ')}`);
  return found;
}

/** What a lane's connection carries for each message size, so that both ends open it alike. */
export interface Opening {
  readonly lane: Lane;
  readonly bytes: number;
}
