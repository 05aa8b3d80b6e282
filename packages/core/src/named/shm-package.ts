// shm-package.ts - the package shm-typed-array, loaded when a named segment is first used. The only file that knows it.
//
// Only its System V side is used: the kernel knows the size of such a segment and nobody can change it, where a POSIX object
// says its size in its first bytes, which the package believes, and can be cut off under its readers.
// What has to stay true here, read from its source (0.1.1):
//   - its state belongs to the process: one thread can load it, and only the main thread outlives the others
//   - detaching unmaps while arrays still point there: detach the ArrayBuffer first, whose views then have length 0
//   - detaching the last user of a segment removes it, also at exit: nothing is mapped that is not known to be ours
//   - a segment mapped a second time by the same process is never unmapped: it is mapped once
//   - its listener to 'exit' unmaps everything: ends leave before it (firstAtExit)

import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { SmcError } from '../errors.js';

/** What is used of it. Sizes are counted in elements of the type. */
export interface ShmPackage {
  /** Null when there is a segment with this key. Throws what the kernel says. */
  create(count: number, type: 'Int32Array', key: number, permissions: string): Int32Array<ArrayBuffer> | null;
  /** Null when there is none. */
  get(key: number, type: 'Int32Array'): Int32Array<ArrayBuffer> | null;
  /** Unmaps; removes the segment when nobody else has it mapped. */
  detach(key: number): number;
  /** Removes the segment. */
  destroy(key: number): boolean;
}

let loaded: ShmPackage | undefined;

/** @throws SmcError `ERR_SMC_NAMED_UNAVAILABLE` in a worker, and where the package is not installed or does not load. */
export function shmPackage(): ShmPackage {
  if (!isMainThread) {
    const message = 'named segments belong to the main thread of a process: shm-typed-array has one state for all threads';
    throw new SmcError('ERR_SMC_NAMED_UNAVAILABLE', `${message}; use a worker channel to reach it from a worker`);
  }
  loaded ??= load();
  return loaded;
}

function load(): ShmPackage {
  try {
    return createRequire(import.meta.url)('shm-typed-array') as ShmPackage;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && /'shm-typed-array'/.test(String(cause));
    const hint = missing
      ? 'the package shm-typed-array is not installed: npm install shm-typed-array (it is compiled; not on Windows)'
      : `the package shm-typed-array does not load in Node ${process.versions.node}; npm rebuild shm-typed-array compiles it again`;
    throw new SmcError('ERR_SMC_NAMED_UNAVAILABLE', hint, { cause });
  }
}

/** Ends every view of this memory: they have length 0 from here on. Nothing is copied. */
export function endViews(buffer: ArrayBuffer): void {
  structuredClone(buffer, { transfer: [buffer] });
}
