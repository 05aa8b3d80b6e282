// lane.ts - one task of a map: frames go out to a worker in their order, answers come back in the same.

import { SmcError } from '../errors.js';
import { poison } from '../frames/frame-checks.js';
import type { TypedArray } from '../frames/frame-format.js';
import type { WritableFrame } from '../frames/frame-writer.js';
import { frames, type TypedFrames } from '../frames/typed-frames.js';
import type { BusyPoll } from '../options.js';
import type { ChannelEnd } from '../worker/channel-end.js';
import { KeptFrames } from './kept-frames.js';
import type { FrameTypes } from './serve-frames.js';
import { type StartedTask, startTask, type StreamTaskOptions, type TaskPool } from './stream-task.js';

/** What the source gives: a frame, which is copied into the ring, or how to make one there. */
export type SourceFrame<I extends TypedArray> = I | FrameFill<I>;

/** A frame of a source that is made where the worker reads it: nothing is copied, and no memory of its own is needed. */
export interface FrameFill<I extends TypedArray> {
  /** Elements of the frame. */
  readonly length: number;
  /**
   * Writes all elements of `view`, which hold what was there before; not to be kept. Called in this thread when there is room for the
   * frame, and again, to write the same, as often as a worker dies that had it: what it reads must not change until the answer has
   * come. What it throws is the error of the frame. It must be done when it returns: a promise ends the map, `ERR_SMC_FRAME_MISUSE`.
   */
  fill(view: I): unknown;
}

/** A frame of the source, kept until its answer has come: should the worker die, another computes it. */
export interface Item<I extends TypedArray> {
  readonly index: number;
  readonly frame: SourceFrame<I>;
  /** Where it is in the ring of its lane, by the cursor, and its elements there. */
  sent: number | undefined;
  length: number;
  /** Its answer is there, and in another place: its own need not be kept. */
  apart: boolean;
}

/** An answer, in the memory the worker wrote until `lent` is released. */
export interface Answer<O extends TypedArray> {
  readonly index: number;
  readonly view: O;
  readonly lent: { release(): void };
}

/** What a lane tells whoever it belongs to. */
export interface LaneEvents<I extends TypedArray> {
  /** Look at it again: there may be an answer, or it has started or ended. */
  changed(): void;
  /** It cannot send this frame: the fault of the frame, not of the lane. */
  refused(item: Item<I>, error: unknown): void;
  /** Nothing that is in the ring can be trusted any more. */
  spoiled(error: unknown): void;
}

export class Lane<I extends TypedArray, O extends TypedArray> {
  /** Handed to this lane, the answer not yet taken; in the order of the answers. */
  readonly queue: Item<I>[] = [];
  /** The answers. The first, which is empty, says that the task runs. */
  readonly answers: TypedFrames<O>;
  /** Resolves when the task is over. */
  readonly settled: Promise<void>;
  started = false;
  /** The task is over: what is not answered in the ring never will be. */
  over = false;
  /** Why, when not in order. */
  reason: unknown;

  readonly #task: StartedTask<unknown>;
  readonly #end: ChannelEnd;
  readonly #frames: TypedFrames<I>;
  readonly #kept: KeptFrames<O>;
  readonly #abort: AbortController | undefined;
  readonly #events: LaneEvents<I>;
  #outbox: Item<I>[] = [];
  #sending = false;
  /** For room. */
  #waiting = false;
  /** Of a frame that was answered in place, while the answer is used. */
  #used: number | undefined;
  readonly #lent = {
    release: (): void => {
      this.#used = undefined;
      this.#keep();
    },
  };

  constructor(
    pool: TaskPool,
    data: unknown,
    types: FrameTypes<I, O>,
    options: StreamTaskOptions,
    workerBusyPoll: BusyPoll | undefined,
    abortable: boolean,
    events: LaneEvents<I>,
  ) {
    this.#events = events;
    this.#abort = abortable ? new AbortController() : undefined;
    const signal = this.#abort === undefined ? {} : { signal: this.#abort.signal };
    this.#task = startTask(pool, data, { ...options, ...signal }, workerBusyPoll);
    const { end, done } = this.#task;
    this.#end = end;
    end.on('error', () => {});
    this.#frames = frames(end, types.input);
    this.answers = frames(end, types.output);
    this.#kept = new KeptFrames(end, types.output);
    end.ring.onreadable = () => {
      if (this.#waiting) this.#findApart();
      events.changed();
    };
    this.settled = done.then(
      () => this.#isOver(undefined),
      (error: unknown) => this.#isOver(error),
    );
  }

  hand(item: Item<I>): void {
    item.sent = undefined; // by another lane, that is
    this.queue.push(item);
    this.#outbox.push(item);
    if (!this.#sending) void this.#send();
  }

  /** The next answer, if it is there. It belongs to the oldest frame of the queue. */
  take(): Answer<O> | undefined {
    const frame = this.answers.takeOrMark();
    if (frame === undefined) return undefined;
    const [item] = this.queue;
    if (frame === 'mark') {
      const answered = item?.sent === undefined ? undefined : this.queue.shift();
      this.#used = answered?.sent;
      // Whoever hears of its end, which may come with this, finds the queue as it is.
      this.answers.passMark();
      if (answered?.sent === undefined) return undefined;
      return { index: answered.index, ...this.#lend(this.#kept.view(answered.sent, answered.length)) };
    }
    if (item === undefined) {
      frame.release();
      return undefined;
    }
    this.queue.shift();
    this.#keep();
    return { index: item.index, view: frame.view, lent: frame };
  }

  #lend(view: O): Pick<Answer<O>, 'view' | 'lent'> {
    if (this.answers.live) return { view, lent: this.#lent };
    // In development mode a copy, as of every frame.
    const copy = view.slice() as O;
    const release = (): void => {
      poison(copy.buffer);
      this.#lent.release();
    };
    return { view: copy, lent: { release } };
  }

  /** No frames follow: the task returns when it has answered those it has. */
  finish(): void {
    this.#end.end();
  }

  /** A worker has the task. */
  get handed(): boolean {
    return this.#task.handed();
  }

  /** The task ends after the frames it has, or never begins; unread answers are given up. */
  cancel(): void {
    this.#task.withdraw();
    this.#outbox = [];
    this.#end.destroy();
  }

  /** Ends it now: a worker that computes is terminated. */
  abort(reason: unknown): void {
    if (this.queue.length > 0) this.#abort?.abort(reason);
    this.cancel();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    for (let item = this.#outbox[0]; item !== undefined; item = this.#outbox[0]) {
      const { frame: from } = item;
      let frame: WritableFrame<I> | undefined;
      try {
        frame = this.#frames.reserve(from.length);
        if (frame === undefined) {
          this.#findApart();
          this.#waiting = true;
          const room = await this.#frames.writable(from.length);
          this.#waiting = false;
          if (room) continue;
          // The task is over: what is left here is handed to others with the rest of the queue.
          break;
        }
        if (ArrayBuffer.isView(from)) frame.view.set(from as never);
        else if (isThenable(from.fill(frame.view))) {
          // It goes on writing, into whatever is there by then.
          frame.abandon();
          this.cancel();
          return this.#events.spoiled(
            new SmcError('ERR_SMC_FRAME_MISUSE', `fill() of frame ${item.index} of the source returned a promise`),
          );
        }
        item.sent = this.#kept.cursor;
        item.apart = false;
        item.length = frame.view.length;
        frame.commit();
        this.#keep();
      } catch (error) {
        frame?.abandon();
        this.queue.splice(this.queue.indexOf(item), 1);
        this.#events.refused(item, error);
      }
      this.#outbox.shift();
    }
    this.#sending = false;
  }

  /** The oldest frame whose answer may be in its place and has not been used, and all behind it, are kept. */
  #keep(): void {
    this.#kept.keepFrom(this.#used ?? this.queue.find(({ apart }) => !apart)?.sent);
  }

  /** Room is wanted: of frames whose answers have come in another place the worker's release makes it. */
  #findApart(): void {
    for (const item of this.queue.slice(0, this.answers.framesAhead())) item.apart = true;
    this.#keep();
  }

  #isOver(reason: unknown): void {
    this.over = true;
    this.reason = reason;
    this.#events.changed();
  }
}

function isThenable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('then' in value) || typeof value.then !== 'function') return false;
  // Nobody waits for it.
  Promise.resolve(value).catch(() => {});
  return true;
}
