// litmus-threads.ts - the litmus test between two workers of one process, which may be of any Node version.

import { Worker } from 'node:worker_threads';
import { coordinate, LITMUS_BYTES } from './litmus.js';

const { milliseconds } = JSON.parse(process.argv[2] as string) as { milliseconds: number };
const buffer = new SharedArrayBuffer(LITMUS_BYTES);
const workers = ([0, 1] as const).map(
  (me) => new Worker(new URL('./litmus-side.js', import.meta.url), { workerData: { buffer, me, milliseconds } }),
);
for (const worker of workers) {
  worker.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
}
console.log(JSON.stringify(await coordinate(new Int32Array(buffer), milliseconds)));
