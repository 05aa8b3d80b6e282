// litmus-side.ts - one side of the litmus test: as a worker over a SharedArrayBuffer, as a process over a mapping of the
// segment that it was given as descriptor 3.

import { parentPort, workerData } from 'node:worker_threads';
import { LITMUS_BYTES, side } from './litmus.js';
import { addon, patience } from './places.js';

async function memory(): Promise<{ words: Int32Array; me: 0 | 1; milliseconds: number }> {
  if (parentPort !== null) {
    const { buffer, ...rest } = workerData as { buffer: SharedArrayBuffer; me: 0 | 1; milliseconds: number };
    return { words: new Int32Array(buffer), ...rest };
  }
  const rest = JSON.parse(process.argv[2] as string) as { me: 0 | 1; milliseconds: number };
  const native = await addon();
  if (typeof native === 'string') throw new Error(native);
  const mapped = native.mapSegment(3, LITMUS_BYTES);
  if (typeof mapped === 'number') throw new Error(`not mapped: ${mapped}`);
  return { words: new Int32Array(mapped), ...rest };
}

const { words, me, milliseconds } = await memory();
side(words, me, patience(3 * milliseconds));
