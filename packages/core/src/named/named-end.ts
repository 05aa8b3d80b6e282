// named-end.ts - one process's end of a named segment: a Duplex, and its ring.

import { SmcError } from '../errors.js';
import { firstAtExit } from '../worker/exit.js';
import { RingEnd, type RingEndOptions } from '../worker/ring-end.js';
import { NamedChannel } from './named-channel.js';
import { attachSegment, createSegment, type NamedRole, type NamedSegment } from './named-segment.js';
import { isRingSize, NAMED_RING_DEFAULT, NAMED_RING_MAX, NAMED_RING_MIN } from './segment-layout.js';

const POLL_INTERVAL_MS = 50;
const MAX_POLL_INTERVAL_MS = 1000;
const WAIT_MS = 5000;
const MAX_NAME_BYTES = 255;

export interface NamedEndOptions extends RingEndOptions {
  /**
   * Milliseconds of the longest sleep between two looks at a silent segment, 1 to 1000, default 50: how late the first bytes after
   * a long silence may be seen. The hub of a process looks as often as the least of its open ends says.
   */
  pollInterval?: number;
}

export interface CreateNamedOptions extends NamedEndOptions {
  /** Bytes of the ring in each direction: a power of two, 16 KiB to 64 MiB, default 256 KiB. The system has limits, too. */
  ringSize?: number;
}

export interface AttachNamedOptions extends NamedEndOptions {
  /** Milliseconds to wait for a creator, default 5000. 0: it has to be there. */
  wait?: number;
  /** Gives the waiting up: the promise rejects with its reason. */
  signal?: AbortSignal;
}

/**
 * One end of a connection between two processes that share nothing but a name: a Duplex of bytes with the behaviour of a connected
 * socket, and {@link ring}. It keeps the event loop alive until it is closed, or {@link unref} is called. Main thread only.
 *
 * Emits 'attach' at the creator when the other process has come; what was written before waits in the ring.
 *
 * When the peer process ends in order this end reads what is there, then 'end'. When it is killed: what was published,
 * then an 'error' with code `ECONNRESET`, within two seconds; never a part of a record or frame. A peer that is stopped or busy lives.
 * Other errors: `ERR_SMC_PEER_VIOLATION` (the ring was overwritten), `ERR_SMC_SEGMENT_INVALID` (the segment was removed before
 * anybody attached), and `EPIPE` and `ECONNRESET` of writes.
 * A listener to 'exit' of the process comes too late: the memory is gone by then, and this end destroyed.
 */
export class NamedEnd extends RingEnd<NamedChannel> {
  /** @internal */
  constructor(claim: () => NamedSegment, { pollInterval = POLL_INTERVAL_MS, ...options }: NamedEndOptions) {
    checkNumber('pollInterval', pollInterval, 1, MAX_POLL_INTERVAL_MS);
    super(options, (busyPoll) => new NamedChannel(claim(), busyPoll, pollInterval), firstAtExit);
    this.channel.onAttached = () => void this.emit('attach');
    this.channel.onBroken = (error) => void this.destroy(error);
  }

  /** 'creator' or 'attacher'. */
  get role(): NamedRole {
    return this.channel.segment.role;
  }

  /** Process id of the other end, once it has attached. */
  get peerPid(): number | undefined {
    return this.channel.segment.peer?.pid;
  }

  /** @internal */
  protected override leave(): void {
    this.stream.reader = this.stream.writer = undefined;
    this.destroy();
  }
}

/**
 * Creates the named segment and is its first end. The other process calls {@link attachNamed} with the same name, of up to 255
 * bytes. A segment of this name whose processes are dead is removed first.
 *
 * @throws SmcError `ERR_SMC_NAME_IN_USE` when another process created it and either end lives, or this process has the name
 * open; `ERR_SMC_SEGMENT_INVALID` when the name's key leads to memory of another program or user; `ERR_SMC_NAMED_UNAVAILABLE`
 * without the package shm-typed-array, in a worker, or when the system gives no memory; `ERR_SMC_INVALID_OPTION`
 */
export function createNamed(name: string, { ringSize = NAMED_RING_DEFAULT, ...options }: CreateNamedOptions = {}): NamedEnd {
  checkName(name);
  if (!isRingSize(ringSize)) {
    const accepts = `a power of two, ${NAMED_RING_MIN} to ${NAMED_RING_MAX}`;
    throw new SmcError('ERR_SMC_INVALID_OPTION', `ringSize of a named segment: ${String(ringSize)} is not ${accepts}`);
  }
  return new NamedEnd(() => createSegment(name, ringSize), options);
}

/**
 * Attaches to the named segment as its second and last end, waiting for its creator. Each segment is attached once: for another
 * connection it is created again.
 *
 * Rejects with SmcError `ERR_SMC_NAME_NOT_FOUND` when nobody has created it in time; `ERR_SMC_NAME_IN_USE` when another process is
 * attached, or was; `ERR_SMC_SEGMENT_INVALID` when what is there is damaged, of another version, program, user or PID
 * namespace; `ERR_SMC_NAMED_UNAVAILABLE`, `ERR_SMC_INVALID_OPTION` as {@link createNamed}; the reason of `signal`.
 */
export async function attachNamed(name: string, { wait = WAIT_MS, signal, ...options }: AttachNamedOptions = {}): Promise<NamedEnd> {
  checkName(name);
  checkNumber('wait', wait, 0, Number.MAX_VALUE);
  checkNumber('pollInterval', options.pollInterval ?? POLL_INTERVAL_MS, 1, MAX_POLL_INTERVAL_MS);
  const segment = await attachSegment(name, wait, signal);
  try {
    return new NamedEnd(() => segment, options);
  } catch (error) {
    segment.unmap();
    throw error;
  }
}

function checkName(name: unknown): void {
  if (typeof name === 'string' && name.length > 0 && Buffer.byteLength(name) <= MAX_NAME_BYTES) return;
  throw new SmcError('ERR_SMC_INVALID_OPTION', `a named segment has a name of 1 to ${MAX_NAME_BYTES} bytes`);
}

function checkNumber(what: string, value: unknown, low: number, high: number): void {
  if (typeof value === 'number' && value >= low && value <= high) return;
  throw new SmcError('ERR_SMC_INVALID_OPTION', `${what} of a named segment: ${String(value)} is not ${low} to ${high} milliseconds`);
}
