// port.ts - the two ports of a worker channel: plain objects that are posted to the threads which open them.

import { types } from 'node:util';
import { MessageChannel, MessagePort } from 'node:worker_threads';
import { SmcError } from '../errors.js';
import { expected, expectOptions } from '../given.js';
import { allocateShared, openShared, type RingMemory, WORD } from '../ring/layout.js';
import { compareExchange } from '../ring/words.js';

/** Bytes of a ring between threads: at least, at most, and when nothing is said. */
export const CHANNEL_RING_MIN = 16 * 1024;
export const CHANNEL_RING_MAX = 256 * 1024 * 1024;
export const CHANNEL_RING_DEFAULT = 256 * 1024;

/**
 * One end of a worker channel before it is opened. Plain data: post it to a worker, with `bell` in the transfer list, and
 * {@link open} it there; or open it where it was made. It can be opened once.
 */
export interface WorkerPort {
  readonly type: 'smc-worker-port';
  /** The ring this end reads, and the one it writes. */
  readonly rx: SharedArrayBuffer;
  readonly tx: SharedArrayBuffer;
  /** Wakes a sleeping event loop, and tells by its end that the other thread is gone. */
  readonly bell: MessagePort;
}

export interface WorkerChannelOptions {
  /** Bytes of the ring in each direction: a power of two, 16 KiB to 256 MiB. Default 256 KiB. */
  ringSize?: number;
}

/**
 * Makes a channel between two threads of this process: two rings in shared memory. Give each port to one thread.
 *
 *     const { port1, port2 } = createChannel();
 *     new Worker(file, { workerData: { port: port2 }, transferList: [port2.bell] });
 *     const end = open(port1);
 *
 * @throws SmcError `ERR_SMC_INVALID_OPTION`
 */
export function createChannel(options: WorkerChannelOptions = {}): { readonly port1: WorkerPort; readonly port2: WorkerPort } {
  expectOptions(options, 'createChannel');
  const { ringSize = CHANNEL_RING_DEFAULT } = options;
  checkRingSize(ringSize);
  const bells = new MessageChannel();
  const first = allocateShared(ringSize).words.buffer as SharedArrayBuffer;
  const second = allocateShared(ringSize).words.buffer as SharedArrayBuffer;
  return {
    port1: { type: 'smc-worker-port', rx: first, tx: second, bell: bells.port1 },
    port2: { type: 'smc-worker-port', rx: second, tx: first, bell: bells.port2 },
  };
}

/** @throws SmcError `ERR_SMC_INVALID_OPTION` */
export function checkRingSize(ringSize: number = CHANNEL_RING_DEFAULT): void {
  const whole = Number.isInteger(ringSize) && (ringSize & (ringSize - 1)) === 0;
  const possible = whole && ringSize >= CHANNEL_RING_MIN && ringSize <= CHANNEL_RING_MAX;
  expected(possible, 'a worker channel', 'ringSize', `a power of two, ${CHANNEL_RING_MIN} to ${CHANNEL_RING_MAX}`, ringSize);
}

/** A port that now belongs to one end. */
export interface ClaimedPort {
  readonly rx: RingMemory;
  readonly tx: RingMemory;
  readonly bell: MessagePort;
}

/**
 * Takes a port for one end.
 * @throws SmcError `ERR_SMC_INVALID_PORT` for anything but a port, `ERR_SMC_PORT_IN_USE` for one that was opened, anywhere.
 */
export function claim(port: unknown): ClaimedPort {
  const given = (typeof port === 'object' && port !== null ? port : {}) as Partial<WorkerPort>;
  const shared = types.isSharedArrayBuffer(given.rx) && types.isSharedArrayBuffer(given.tx) && given.rx !== given.tx;
  const rx = shared ? openShared(given.rx as SharedArrayBuffer) : undefined;
  const tx = shared ? openShared(given.tx as SharedArrayBuffer) : undefined;
  if (given.type !== 'smc-worker-port' || rx === undefined || tx === undefined || !(given.bell instanceof MessagePort)) {
    throw new SmcError('ERR_SMC_INVALID_PORT', 'not a port of a worker channel: give what createChannel() made');
  }
  // Two threads may hold the same object: the memory decides.
  if (compareExchange(rx.words, WORD.owner, 0, 1) !== 0) {
    throw new SmcError('ERR_SMC_PORT_IN_USE', 'this port is open already: each of the two ports belongs to one end');
  }
  return { rx, tx, bell: given.bell };
}
