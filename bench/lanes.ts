// lanes.ts - what is measured side by side: each lane is one transport in one mode of use.

/**
 * As in the results. `tcp` and `uds` are node:net; `tcp` in mode `smc-fallback` is this library's Socket on plain TCP.
 * `worker`: worker channels of this library; `atomics`: shared memory and nothing else. `smc-kernel`: node:net whose sockets are
 * the kernel's SMC.
 */
export type TransportName =
  | 'tcp'
  | 'uds'
  | 'ipc'
  | 'zeromq'
  | 'smcd'
  | 'smcr'
  | 'smc-kernel'
  | 'worker'
  | 'message-port'
  | 'dgram'
  | 'atomics'
  | 'piscina';

export const TRANSPORTS: readonly TransportName[] = [
  'tcp',
  'uds',
  'ipc',
  'zeromq',
  'smcd',
  'smcr',
  'smc-kernel',
  'worker',
  'message-port',
  'dgram',
  'atomics',
  'piscina',
];

/**
 * How the connection is used. `stream`: write() and 'data'. `ring`: reserve/commit and peek/release in place.
 * `records`: send and receive in batches, boundaries kept; `records-single`: one record per call. `frames`: typed arrays.
 * `-off`: the same with busyPoll 'off'; `-poll`: with 20 ms; without it, 'auto'. Of a MessagePort: `clone` posts each message, `packed` 64 of them
 * in one, `transfer` posts new arrays with a transfer list, `recycled` those that come back.
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
  | 'stream-poll'
  | 'ring-off'
  | 'records-off'
  | 'records-single'
  | 'frames'
  | 'clone'
  | 'packed'
  | 'transfer'
  | 'recycled'
  | 'wait-async'
  | 'spin';

/** Traffic between processes; traffic between threads; typed frames between either; frames through a pool. */
export type Part = 'traffic' | 'threads' | 'frames' | 'pool';

export interface Lane {
  readonly transport: TransportName;
  readonly mode: Mode;
  /** One line for tables. */
  readonly label: string;
  readonly part: Part;
  readonly between: 'processes' | 'threads';
  /** Measured in this direction only. */
  readonly only?: 'roundtrip' | 'oneway';
  /** Measured when it is asked for by name: needs what most machines do not have. */
  readonly onRequest?: true;
}

const lane = (transport: TransportName, mode: Mode, label: string): Lane => ({
  transport,
  mode,
  label,
  part: 'traffic',
  between: 'processes',
});
/** Needs an RDMA device; the kernel's needs a kernel with SMC. */
const rdma = (transport: TransportName, mode: Mode, label: string): Lane => ({ ...lane(transport, mode, label), onRequest: true });
const threads = (transport: TransportName, mode: Mode, label: string, only?: Lane['only']): Lane => ({
  ...lane(transport, mode, label),
  part: 'threads',
  between: 'threads',
  ...(only === undefined ? {} : { only }),
});
const frames = (transport: TransportName, mode: Mode, label: string, between: Lane['between']): Lane => ({
  ...lane(transport, mode, label),
  part: 'frames',
  between,
});
const pool = (mode: Mode, label: string): Lane => ({ ...lane('piscina', mode, label), part: 'pool', between: 'threads' });

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
  rdma('smcr', 'stream', 'smcr stream'),
  rdma('smcr', 'stream-off', 'smcr stream, no polling'),
  rdma('smcr', 'stream-poll', 'smcr stream, 20 ms polling'),
  rdma('smc-kernel', 'stream', "kernel's SMC (node:net)"),
  threads('message-port', 'clone', 'MessagePort'),
  threads('message-port', 'packed', 'MessagePort, 64 in a message', 'oneway'),
  threads('dgram', 'stream', 'UDP loopback (node:dgram)'),
  threads('atomics', 'wait-async', 'Atomics.waitAsync', 'roundtrip'),
  threads('atomics', 'spin', 'Atomics, spinning', 'roundtrip'),
  threads('worker', 'stream', 'worker stream'),
  threads('worker', 'ring', 'worker ring'),
  threads('worker', 'ring-off', 'worker ring, no polling'),
  threads('worker', 'records', 'worker records'),
  threads('worker', 'records-single', 'worker records, one per send', 'oneway'),
  frames('message-port', 'transfer', 'MessagePort, transfer list', 'threads'),
  frames('message-port', 'recycled', 'MessagePort, arrays sent back', 'threads'),
  frames('worker', 'frames', 'worker frames', 'threads'),
  frames('tcp', 'frames', 'TCP (node:net)', 'processes'),
  frames('ipc', 'frames', 'child_process IPC', 'processes'),
  frames('smcd', 'frames', 'smcd frames', 'processes'),
  pool('transfer', 'Piscina, transfer lists'),
  pool('frames', 'Piscina, mapFrames'),
];

/** What is measured when nothing is asked for by name. */
export const USUAL_LANES: readonly Lane[] = LANES.filter(({ onRequest }) => onRequest !== true);

export const laneKey = (of: Pick<Lane, 'transport' | 'mode'>): string => `${of.transport}/${of.mode}`;

/**
 * TCP is measured with noDelay, as node:http uses it: every message leaves when it is written, as it does on every other
 * lane. With Nagle's algorithm (node:net's default) the kernel gathers small messages while an acknowledgement is out,
 * which is faster one way and only there; that is a lane of its own, and not what ratios refer to.
 */
export const noDelayOf = (of: Lane): boolean => of.mode !== 'nagle';

/** Longer than a round trip between emulated processors takes, which 'auto' gives up on. */
const POLL_MICROS = 20_000;

export const busyPollOf = (of: Lane): 'auto' | 'off' | number => {
  if (of.mode.endsWith('-poll')) return POLL_MICROS;
  return of.mode.endsWith('-off') ? 'off' : 'auto';
};

/** How the bytes go in and out, whatever the polling. */
export const usageOf = (of: Lane): 'stream' | 'ring' | 'records' | 'frames' => {
  if (of.part === 'frames') return 'frames';
  return of.mode.startsWith('ring') ? 'ring' : of.mode.startsWith('records') ? 'records' : 'stream';
};

/** The lane of that transport and mode. @throws RangeError when there is none. */
export function laneOf(transport: string, mode: string): Lane {
  const found = LANES.find((candidate) => candidate.transport === transport && candidate.mode === mode);
  if (found === undefined) throw new RangeError(`no lane ${transport}/${mode}; there are ${LANES.map(laneKey).join(', ')}`);
  return found;
}

/** What is done with each frame: every element written and summed, or one word of each 64-byte line. */
export type Touch = 'elements' | 'lines';

/** What a lane's connection carries for each message size, so that both ends open it alike. */
export interface Opening {
  readonly lane: Lane;
  readonly bytes: number;
  readonly touch?: Touch;
}
