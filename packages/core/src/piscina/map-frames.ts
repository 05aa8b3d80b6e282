// map-frames.ts - a map over frames by the workers of a pool: what users call.

import { expected, expectIterable, expectOptions, expectPool, isSignal } from '../given.js';
import { kindOf, type TypedArray } from '../frames/frame-format.js';
import { type BusyPoll, resolveOptions } from '../options.js';
import { checkRingSize } from '../worker/port.js';
import { checkNumbers, type FrameSource, MapRun, type Outcome } from './map-run.js';
import type { FrameTypes } from './serve-frames.js';
import type { TaskPool } from './stream-task.js';

export interface MapFramesOptions<I extends TypedArray, O extends TypedArray> extends FrameTypes<I, O> {
  /** Answers in the order of the frames (true, the default), or as they come. */
  ordered?: boolean;
  /** Tasks of the pool that compute at the same time, at most. Default: the pool's `maxThreads`, else 1. */
  concurrency?: number;
  /** Frames for each of them, the one it computes included. Default 2: the next is there when it is done with one. */
  ahead?: number;
  /** Third argument of the handler; cloned for each task. */
  data?: unknown;
  /** Bytes of the ring in each direction, per task; a frame takes at most half. A power of two, default 1 MiB. */
  ringSize?: number;
  /** Ends the map with the signal's reason; workers that compute are terminated, as Piscina does. */
  signal?: AbortSignal;
  /** Of the worker file and its export, when not those of the pool. */
  filename?: string;
  name?: string;
  /**
   * How this thread polls for answers before it sleeps, as of `open`. Default: 'off', here and in the workers, where these
   * are more threads than processors, else as `open` has it.
   */
  busyPoll?: BusyPoll;
}

/** The answer to frame `index` of the source, in the memory the worker wrote: its own, or that of the frame. */
export interface MappedFrame<O extends TypedArray> {
  readonly index: number;
  /** Lent until the next one is asked for: copy with `slice()` what has to be kept. */
  readonly view: O;
}

/** The outcome of one frame, in the words of `Promise.allSettled`. */
export type SettledFrame<O extends TypedArray> =
  | ({ readonly status: 'fulfilled' } & MappedFrame<O>)
  | { readonly status: 'rejected'; readonly index: number; readonly reason: unknown };

/**
 * Computes each frame of `source` by the `serveFrames` handler of a pool's worker file, in several workers, over rings.
 *
 *     for await (const { index, view } of mapFrames(pool, frames, { input: Float64Array, output: Float64Array })) ...
 *
 * At most `concurrency * ahead` frames are taken from the source and not yet handed out; a slow loop body stops workers and
 * source. A frame is copied once, into the ring, and kept until its answer has come: its memory must not change meanwhile. One that the
 * source gives as {@link FrameFill} is made in the ring: nothing is copied, and only that object is kept.
 *
 *     function* frames() { for (let i = 0; ; i++) yield { length: 8192, fill: (view) => view.fill(i) }; }
 *
 * It runs in tasks of the pool, started as frames come, that last until the map ends. Leaving the loop ends them after the
 * frames they have; that, and the end of the loop, waits for them, and for nothing else of the pool.
 *
 * @throws the error of the first frame that could not be computed (in order, or as they come), after the answers before it:
 * what its handler threw, or how its worker died; the source's error, after the answers to what came before; the signal's
 * reason; the pool's error when no task can be run. SmcError `ERR_SMC_RECORD_TOO_LARGE` for a frame or an answer above
 * half the ring, `ERR_SMC_FRAME_TYPE` when the worker answers in another type. The call itself: `ERR_SMC_INVALID_OPTION`.
 */
export function mapFrames<I extends TypedArray, O extends TypedArray>(
  pool: TaskPool,
  source: FrameSource<I>,
  options: MapFramesOptions<I, O>,
): AsyncGenerator<MappedFrame<O>, void, undefined> {
  check('mapFrames', pool, source, options);
  return outcomes(pool, source, options, (outcome) => {
    if ('reason' in outcome) throw outcome.reason;
    return { index: outcome.index, view: outcome.view };
  });
}

/**
 * The same, with the error of a frame in its place, and all others computed. When a worker dies, the frame it computed has
 * failed; those that waited behind it are given to others. It throws where no frame can be blamed.
 */
export function mapFramesSettled<I extends TypedArray, O extends TypedArray>(
  pool: TaskPool,
  source: FrameSource<I>,
  options: MapFramesOptions<I, O>,
): AsyncGenerator<SettledFrame<O>, void, undefined> {
  check('mapFramesSettled', pool, source, options);
  return outcomes(pool, source, options, (outcome) => {
    const { index } = outcome;
    if ('reason' in outcome) return { status: 'rejected', index, reason: outcome.reason };
    return { status: 'fulfilled', index, view: outcome.view };
  });
}

/** Before the first outcome is asked for: a map that cannot be is the mistake of whoever calls. */
function check(call: string, pool: unknown, source: unknown, options: MapFramesOptions<TypedArray, TypedArray>): void {
  expectPool(pool, call);
  expectIterable(source, call, 'source', 'an iterable of typed arrays, asynchronous or not');
  expectOptions(options, call);
  kindOf(options.input, call, 'input');
  kindOf(options.output, call, 'output');
  const { ordered, signal, busyPoll, ringSize } = options;
  expected(ordered === undefined || typeof ordered === 'boolean', call, 'ordered', 'true or false', ordered);
  expected(signal === undefined || isSignal(signal), call, 'signal', 'an AbortSignal', signal);
  checkNumbers(call, pool as TaskPool, options);
  checkRingSize(ringSize);
  if (busyPoll !== undefined) resolveOptions({ busyPoll });
}

/** One generator, and no promise for an outcome that is there: what a frame costs this thread besides its bytes. */
async function* outcomes<I extends TypedArray, O extends TypedArray, R>(
  pool: TaskPool,
  source: FrameSource<I>,
  options: MapFramesOptions<I, O>,
  handOut: (outcome: Outcome<O>) => R,
): AsyncGenerator<R, void, undefined> {
  const run = new MapRun(pool, source, options);
  let thrown: { readonly error: unknown } | undefined;
  let whole = false;
  try {
    for (let outcome = run.take() ?? (await run.next()); outcome !== undefined; outcome = run.take() ?? (await run.next())) {
      try {
        yield handOut(outcome);
      } finally {
        // Also where the loop is left: what was lent is given back.
        run.done(outcome);
      }
    }
    whole = true;
  } catch (error) {
    thrown = { error };
    throw error;
  } finally {
    // Why the map ended is worth more than what the source says when it is told.
    await run.stop(whole).catch((error: unknown) => {
      throw thrown === undefined ? error : thrown.error;
    });
  }
}
