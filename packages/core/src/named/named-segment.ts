// named-segment.ts - who makes a named segment, who attaches, and what is left behind by who was killed.
//
//   create   none there: make it. One that nobody has mapped: its users are dead, remove it, make it. Else the name is in use.
//   attach   wait for one that somebody has mapped and that is ready; look at it once; claim it. It can be claimed once.
//   close    unmap; the last of the two removes it. Killed both: nobody has it mapped, the next to use the name removes it.
//
// A process maps a segment once: for the package it is one mapping however often it is asked for. So both ends cannot be in
// one process, and what was unmapped without being claimed is remembered. (Not one whose maker has stopped in the middle of making it,
// which may yet be made: each call that waits for it in vain costs a mapping.)

import { setTimeout as sleep } from 'node:timers/promises';
import { SmcError } from '../errors.js';
import { firstAtExit } from '../worker/exit.js';
import { type ProcessIdentity, runs, thisProcess } from './process-identity.js';
import {
  attacherOf,
  capacityOf,
  claimSegment,
  initialiseSegment,
  isReady,
  readSegment,
  type SegmentRings,
  segmentBytes,
  segmentKey,
} from './segment-layout.js';
import { findSegment, type SegmentRow } from './segment-table.js';
import { endViews, type ShmPackage, shmPackage } from './shm-package.js';

/** A segment that nobody has mapped, made so long ago, is not just being made. */
const SETTLED_MS = 2000;
/** How often who attaches looks whether there is something: at first, at most. */
const LOOK_MS = process.platform === 'linux' ? 5 : 100;
const MAX_LOOK_MS = 10 * LOOK_MS;
/** An attacher that has claimed the segment says who it is in the next instant. */
const CLAIM_MS = 5000;
/** Between two looks whether the peer runs. */
const WATCH_MS = 1000;

/** Names this process has open, by key. */
const open = new Set<number>();
/** Segments this process has unmapped without claiming them: why, or undefined when the creator was gone. */
const passed = new Map<string, SmcError | undefined>();
/** Ids are used again after 65536 segments (Linux). */
const identity = ({ id, created }: SegmentRow): string => `${id} ${created}`;

const inUse = (name: string, what: string) => new SmcError('ERR_SMC_NAME_IN_USE', `named segment '${name}': ${what}`);
const invalid = (name: string, what: string) => new SmcError('ERR_SMC_SEGMENT_INVALID', `named segment '${name}': ${what}`);

export type NamedRole = 'creator' | 'attacher';

/** A mapped segment, one process's end of it. */
export class NamedSegment {
  readonly role: NamedRole;
  readonly rings: SegmentRings;
  readonly #name: string;
  readonly #key: number;
  readonly #id: number | undefined;
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #shm: ShmPackage;
  readonly #forget: () => void;
  #peer: ProcessIdentity | undefined;
  #mapped = true;
  #watched = 0;
  #coming = 0;

  constructor(
    shm: ShmPackage,
    name: string,
    words: Int32Array<ArrayBuffer>,
    { rings, peer, id }: { rings: SegmentRings; peer: ProcessIdentity | undefined; id: number | undefined },
  ) {
    this.role = peer === undefined ? 'creator' : 'attacher';
    this.rings = rings;
    this.#shm = shm;
    this.#name = name;
    this.#key = segmentKey(name);
    this.#id = id;
    this.#words = words;
    this.#peer = peer;
    open.add(this.#key);
    // Before the package does it: then no view is left that leads to memory which is gone.
    this.#forget = firstAtExit(() => this.unmap());
  }

  /** The other process, once it has attached. */
  get peer(): ProcessIdentity | undefined {
    return this.#peer;
  }

  /**
   * Looks whether the attacher has come, and now and then whether the peer runs; `now` in milliseconds. Anything but undefined
   * ends the connection: an error says why, 'gone' that the peer does not run.
   */
  watch(now: number): Error | 'gone' | undefined {
    if (this.#peer === undefined) {
      const attacher = attacherOf(this.#words);
      if (attacher === 'wrong') return invalid(this.#name, 'its attacher is no process');
      if (attacher === 'coming') {
        this.#coming ||= now;
        if (now - this.#coming > CLAIM_MS) return 'gone';
      }
      if (typeof attacher === 'object') this.#peer = attacher;
    }
    if (now - this.#watched < WATCH_MS) return undefined;
    this.#watched = now;
    if (this.#peer !== undefined) return runs(this.#peer) ? undefined : 'gone';
    return this.#nameLost() ? invalid(this.#name, 'it was removed before anybody attached') : undefined;
  }

  /** Does the name lead elsewhere now? Two creators that find the same stale segment can do that to each other. */
  #nameLost(): boolean {
    // Where the list is a program of its own it is not asked each second.
    if (process.platform !== 'linux') return false;
    try {
      return this.#id === undefined || findSegment(this.#key)?.id !== this.#id;
    } catch {
      // No descriptor to be had, say: it is looked at again.
      return false;
    }
  }

  /** Ends all views and unmaps. Who is last removes the segment. Idempotent. */
  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#forget();
    open.delete(this.#key);
    unmap(this.#shm, this.#key, this.#words);
  }
}

function unmap(shm: ShmPackage, key: number, words: Int32Array<ArrayBuffer>): void {
  endViews(words.buffer);
  try {
    shm.detach(key);
  } catch {
    // It was removed by other means, and its key may be another's by now: this mapping stays until the process ends.
  }
}

/** Is it certain that nobody uses this segment any more? */
function abandoned(row: SegmentRow): boolean {
  if (row.attached > 0) return false;
  // Between its making and its first mapping nobody has it mapped either: only its maker can say, or time.
  if (row.created !== undefined && Date.now() - row.created > SETTLED_MS) return true;
  return row.creator <= 0 || row.creator === process.pid || !runs({ pid: row.creator, start: 0 });
}

/** What is under this name; one that is abandoned is removed and not given. @throws SmcError `ERR_SMC_SEGMENT_INVALID` */
function find(shm: ShmPackage, name: string): SegmentRow | undefined {
  const key = segmentKey(name);
  const row = findSegment(key);
  if (row === undefined) return undefined;
  if (!row.ours) throw invalid(name, 'the segment with its key is of another user, or open to others');
  if (capacityOf(row.bytes) === undefined) throw invalid(name, `the segment with its key, ${row.bytes} bytes, is another program's`);
  if (!abandoned(row)) return row;
  asked(name, () => shm.destroy(key));
  return undefined;
}

/** What the kernel refuses is said with our code: it knows users of other namespaces apart, where the list does not. */
function asked<T>(name: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw invalid(name, (error as Error).message);
  }
}

/**
 * Makes the segment of this name.
 * @throws SmcError `ERR_SMC_NAME_IN_USE`, `ERR_SMC_SEGMENT_INVALID`, `ERR_SMC_NAMED_UNAVAILABLE`
 */
export function createSegment(name: string, capacity: number): NamedSegment {
  const shm = shmPackage();
  const key = segmentKey(name);
  if (open.has(key)) throw inUse(name, 'this process has it open; between threads use a worker channel');
  if (find(shm, name) !== undefined) throw inUse(name, 'another process created it and it is in use');
  const words = make(shm, name, key, capacity);
  const id = process.platform === 'linux' ? findSegment(key)?.id : undefined;
  return new NamedSegment(shm, name, words, { rings: initialiseSegment(words, name, capacity, thisProcess()), peer: undefined, id });
}

function make(shm: ShmPackage, name: string, key: number, capacity: number): Int32Array<ArrayBuffer> {
  let words: Int32Array<ArrayBuffer> | null;
  try {
    words = shm.create(segmentBytes(capacity) / 4, 'Int32Array', key, '600');
  } catch (cause) {
    const hint = 'the limits of System V segments are kernel.shmmax, shmall and shmmni on Linux, kern.sysv.* on macOS';
    const said = (cause as Error).message;
    throw new SmcError('ERR_SMC_NAMED_UNAVAILABLE', `no segment of ${segmentBytes(capacity)} bytes: ${said}; ${hint}`, { cause });
  }
  if (words === null) throw inUse(name, 'another process has just created it');
  return words;
}

/**
 * Attaches to the segment of this name, waiting up to `wait` milliseconds for it.
 * @throws SmcError `ERR_SMC_NAME_NOT_FOUND`, `ERR_SMC_NAME_IN_USE`, `ERR_SMC_SEGMENT_INVALID`, `ERR_SMC_NAMED_UNAVAILABLE`
 * @throws the reason of `signal`
 */
export async function attachSegment(name: string, wait: number, signal: AbortSignal | undefined): Promise<NamedSegment> {
  const shm = shmPackage();
  const deadline = performance.now() + wait;
  signal?.throwIfAborted();
  const pause = async (looks: number): Promise<boolean> => {
    const left = deadline - performance.now();
    if (left <= 0) return false;
    await sleep(Math.min(left, LOOK_MS * 1.2 ** looks, MAX_LOOK_MS), undefined, { ...(signal && { signal }) }).catch(() => {});
    signal?.throwIfAborted();
    return true;
  };
  for (let looks = 0; ; looks++) {
    if (open.has(segmentKey(name))) throw inUse(name, 'this process has it open; between threads use a worker channel');
    const row = find(shm, name);
    const known = row && passed.get(identity(row));
    if (known !== undefined) throw known;
    const words =
      row === undefined || row.attached === 0 || passed.has(identity(row))
        ? null
        : asked(name, () => shm.get(segmentKey(name), 'Int32Array'));
    if (row !== undefined && words !== null) {
      const segment = await claim(shm, name, row, words, pause);
      if (segment !== undefined) return segment;
    }
    if (!(await pause(looks))) throw new SmcError('ERR_SMC_NAME_NOT_FOUND', `named segment '${name}': nobody has created it`);
  }
}

/** Claims a segment that was just mapped; undefined when its creator has gone meanwhile, and it is unmapped then. */
async function claim(
  shm: ShmPackage,
  name: string,
  row: SegmentRow,
  words: Int32Array<ArrayBuffer>,
  pause: (looks: number) => Promise<boolean>,
): Promise<NamedSegment | undefined> {
  const key = segmentKey(name);
  // Until it is decided nothing else of this process may map it.
  open.add(key);
  let claimed: NamedSegment | undefined;
  try {
    for (let looks = 0; !isReady(words); looks++) {
      // Whoever makes it is killed, or the time is over: we are the last, and unmapping removes it.
      if ((findSegment(key)?.attached ?? 0) < 2 || !(await pause(looks))) return undefined;
    }
    const facts = words.byteLength === row.bytes ? readSegment(words, name) : { wrong: 'it was replaced meanwhile' };
    if ('wrong' in facts) throw refuse(row, invalid(name, facts.wrong));
    if (!runs(facts.creator, true)) {
      // Somebody else has it mapped still: it goes with them.
      passed.set(identity(row), undefined);
      return undefined;
    }
    if (!claimSegment(words, thisProcess())) throw refuse(row, inUse(name, 'another process is attached, or was'));
    claimed = new NamedSegment(shm, name, words, { rings: facts.rings, peer: facts.creator, id: row.id });
    return claimed;
  } finally {
    if (claimed === undefined) {
      open.delete(key);
      unmap(shm, key, words);
    }
  }
}

function refuse(row: SegmentRow, error: SmcError): SmcError {
  passed.set(identity(row), error);
  return error;
}
