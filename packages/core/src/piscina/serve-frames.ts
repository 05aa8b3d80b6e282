// serve-frames.ts - the worker file's side of mapFrames: each frame is looked at in place and answered by one frame, or by a mark:
// the answer is the frame itself, as it is now.
//
// The first frame this side sends is an empty one: the task has started. Then one, or a mark, for each that came, in the same order.

import { SmcError, systemError } from '../errors.js';
import { expectFunction, expectOptions } from '../given.js';
import { kindOf, type TypedArray, type TypedArrayConstructor } from '../frames/frame-format.js';
import type { WritableFrame } from '../frames/frame-writer.js';
import { frames, type TypedFrames } from '../frames/typed-frames.js';
import { serveChannel } from './serve-channel.js';

/** The types of elements of what goes to the worker, and of what comes back: the same at both sides. */
export interface FrameTypes<I extends TypedArray, O extends TypedArray> {
  readonly input: TypedArrayConstructor<I>;
  readonly output: TypedArrayConstructor<O>;
}

/** How a handler answers without a copy. */
export interface FrameReply<O extends TypedArray> {
  /**
   * The memory of the answer, once there is room for `length` elements: it is sent when the handler returns. Once per frame.
   * Rejects with SmcError `ERR_SMC_RECORD_TOO_LARGE` above half the ring, `ERR_SMC_FRAME_MISUSE` the second time, and with
   * `EPIPE` when nobody waits for the answer any more: let it through.
   */
  reserve(length: number): Promise<O>;
}

/**
 * Computes the answer to one frame. `view` is lent, to be written, too, and must not be touched once the answer is given. The answer is
 * what was filled by `reply.reserve`; or the returned array: `view` itself, where both types are one, stays in its place without a copy,
 * any other array is copied; with neither it is empty. `data` is that of the map.
 */
export type FrameHandler<I extends TypedArray, O extends TypedArray, D> = (view: I, reply: FrameReply<O>, data: D) => Answer<O>;

type Answer<O> = O | undefined | Promise<O | undefined>;

/**
 * A worker function for `mapFrames`:
 *
 *     export default serveFrames({ input: Float64Array, output: Float64Array }, (view) => view.map(Math.sqrt));
 *
 * What the handler throws is the error of that frame; the others of this worker are computed by a later task.
 * @throws SmcError `ERR_SMC_INVALID_OPTION` for no class of typed arrays, and no handler.
 */
export function serveFrames<I extends TypedArray, O extends TypedArray, D = unknown>(
  types: FrameTypes<I, O>,
  handler: FrameHandler<I, O, D>,
): (task: unknown) => Promise<void> {
  expectOptions(types, 'serveFrames', 'types');
  kindOf(types.input, 'serveFrames', 'types.input');
  kindOf(types.output, 'serveFrames', 'types.output');
  expectFunction(handler, 'serveFrames', 'handler');
  return serveChannel<D, void>(async (end, data) => {
    const incoming = frames(end, types.input);
    const reply = new Reply(frames(end, types.output), types.output);
    await reply.send(undefined);
    for await (const { view } of incoming) {
      const answer = handler(view, reply, data);
      // No promise for an answer that is there. Without one a `reserve` of the handler may still be on its way.
      const value = ArrayBuffer.isView(answer) ? answer : await answer;
      // In development mode views are copies.
      const inPlace = (value as unknown) === view && incoming.live;
      if (!reply.sendNow(value, inPlace)) await reply.send(value, inPlace);
    }
  });
}

class Reply<O extends TypedArray> implements FrameReply<O> {
  readonly #outgoing: TypedFrames<O>;
  readonly #type: TypedArrayConstructor<O>;
  #frame: WritableFrame<O> | undefined;

  constructor(outgoing: TypedFrames<O>, type: TypedArrayConstructor<O>) {
    this.#outgoing = outgoing;
    this.#type = type;
  }

  async reserve(length: number): Promise<O> {
    for (;;) {
      if (this.#frame !== undefined) throw alreadyReserved();
      this.#frame = this.#outgoing.reserve(length);
      if (this.#frame !== undefined) return this.#frame.view;
      if (!(await this.#outgoing.writable(length))) throw systemError('EPIPE', 'send');
    }
  }

  async send(answer: O | undefined, inPlace = false): Promise<void> {
    while (!this.sendNow(answer, inPlace)) {
      if (!(await this.#outgoing.writable(inPlace ? 0 : (answer?.length ?? 0)))) throw systemError('EPIPE', 'send');
    }
  }

  /** False when there is no room now. `inPlace`: the answer is the frame it answers. */
  sendNow(answer: O | undefined, inPlace: boolean): boolean {
    if (answer !== undefined && !(answer instanceof this.#type)) {
      throw new SmcError('ERR_SMC_FRAME_TYPE', `the handler returned no ${this.#type.name}`);
    }
    if (answer !== undefined && this.#frame !== undefined) throw alreadyReserved();
    if (inPlace) return this.#outgoing.mark();
    const frame = this.#frame ?? this.#outgoing.reserve(answer?.length ?? 0);
    if (frame === undefined) return false;
    if (answer !== undefined) frame.view.set(answer as never);
    this.#frame = undefined;
    frame.commit();
    return true;
  }
}

const alreadyReserved = () => new SmcError('ERR_SMC_FRAME_MISUSE', 'one frame has one answer: reserve it once');
