// pool-worker.ts - what the workers of the measured pools do: the same with each frame, whichever way it comes.

import { serveFrames } from '@smcjs/core/worker';
import { move } from 'piscina';

function compute(from: Float64Array, to: Float64Array): void {
  for (let i = 0; i < from.length; i++) to[i] = (from[i] as number) * 2 + 1;
}

/** A task of its own: the array came by a transfer list, and goes back by one. */
export const transfer = (frame: Float64Array): unknown => {
  compute(frame, frame);
  return move(frame);
};

/** The answer is the frame, in its place. */
export const frames = serveFrames({ input: Float64Array, output: Float64Array }, (view) => {
  compute(view, view);
  return view;
});
