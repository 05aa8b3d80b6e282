// 07-rxjs-window.ts - statistics over a sliding window of a live stream between two processes, by RxJS: one process measures,
// the other computes and cannot be flooded.
//
//   node packages/examples/dist/07-rxjs-window.js

import type { AddressInfo } from 'node:net';
import { connect, createServer } from '@smcjs/core';
import { fromFrames, sendFramesTo } from '@smcjs/core/rxjs';
import { bufferCount, filter, finalize, interval, map, take } from 'rxjs';
import { twoProcesses } from './support/two-processes.js';

const FRAMES = 500;
const SAMPLES = 1024;
const WINDOW = 50;

await twoProcesses(import.meta.url, { server, client });

/** Computes: each frame becomes its mean and its peak where it lies, then windows of 50 frames move on by 10. */
function server(ready: (port: number) => void): void {
  const server = createServer((socket) => {
    server.close();
    let frames = 0;
    let alarms = 0;
    fromFrames(socket, Float32Array, ({ view }) => [summary(view)]) // lent to this function: the peer's memory
      .pipe(
        map((one) => ({ ...one, frame: frames++ })),
        bufferCount(WINDOW, 10),
        filter((window) => window.length === WINDOW),
        map((window) => ({ last: window.at(-1)?.frame, mean: average(window), peak: Math.max(...window.map(({ peak }) => peak)) })),
        finalize(() => socket.end()),
      )
      .subscribe({
        next: ({ last, mean, peak }) => {
          if (peak > 2) alarms++;
          if (peak > 2 && alarms === 1) console.log(`frame ${last}: peak ${peak.toFixed(2)}, mean ${mean.toFixed(3)}: something happened`);
        },
        error: (error: Error) => console.log(`the stream broke off: ${error.message}`),
        complete: () => console.log(`${frames} frames over ${socket.transport}, ${alarms} windows with a peak`),
      });
  });
  server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
}

/** Measures: a frame each millisecond. Nobody can ask a clock to wait, so what has no room waits in a buffer, up to a bound. */
function client(port: number): void {
  const socket = connect(port, '127.0.0.1', () => {
    interval(1)
      .pipe(
        take(FRAMES),
        map(measure),
        // 'drop' would lose frames instead, 'error' (the default) ends the stream with ERR_SMC_BUFFER_FULL.
        sendFramesTo(socket, Float32Array, { buffer: FRAMES, overflow: 'error' }),
      )
      .subscribe({ error: (error: Error) => console.log(`not sent: ${error.message}`) });
    socket.resume();
  });
}

/** A sine wave, with a spike in frame 300. */
function measure(frame: number): Float32Array {
  const samples = Float32Array.from({ length: SAMPLES }, (_, i) => Math.sin((frame * SAMPLES + i) / 100));
  if (frame === 300) samples[SAMPLES / 2] = 3;
  return samples;
}

function summary(view: Float32Array): { mean: number; peak: number } {
  let sum = 0;
  let peak = Number.NEGATIVE_INFINITY;
  for (const value of view) {
    sum += value;
    if (value > peak) peak = value;
  }
  return { mean: sum / view.length, peak };
}

const average = (window: readonly { mean: number }[]): number => window.reduce((sum, { mean }) => sum + mean, 0) / window.length;
