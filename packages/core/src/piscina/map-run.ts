// map-run.ts - one map: takes frames from the source as far as the bound allows, hands them to lanes, and finds the answers.
//
//   source -> waiting -> lane.queue (in the worker's ring, computed, in our ring) -> next() -> done()
//
// `taken` counts what is between the two ends. A lane whose task died gives the frames behind the one it died of back to
// `waiting`; so a lane may have an older frame behind a younger one, and only then an answer is copied to wait for its turn.

import { usableCores } from '../cores.js';
import { SmcError } from '../errors.js';
import { expected } from '../given.js';
import type { TypedArray } from '../frames/frame-format.js';
import { type BusyPoll, resolveOptions } from '../options.js';
import { type Answer, type Item, Lane, type SourceFrame } from './lane.js';
import type { MapFramesOptions } from './map-frames.js';
import type { StreamTaskOptions, TaskPool } from './stream-task.js';

const RING_BYTES = 1024 * 1024;

export type FrameSource<I extends TypedArray> = Iterable<SourceFrame<I>> | AsyncIterable<SourceFrame<I>>;

/** An answer, lent or copied; or why there is none. */
export type Outcome<O extends TypedArray> =
  | { readonly index: number; readonly view: O; readonly lent?: Answer<O>['lent'] }
  | { readonly index: number; readonly reason: unknown };

export class MapRun<I extends TypedArray, O extends TypedArray> {
  readonly #pool: TaskPool;
  readonly #options: MapFramesOptions<I, O>;
  readonly #ordered: boolean;
  readonly #concurrency: number;
  readonly #ahead: number;
  readonly #source: Iterator<SourceFrame<I>> | AsyncIterator<SourceFrame<I>>;
  readonly #taskOptions: StreamTaskOptions;
  readonly #workerBusyPoll: BusyPoll | undefined;
  readonly #onAbort: () => void;

  #lanes: Lane<I, O>[] = [];
  /** Taken from the source, and of no lane yet; by index. */
  #waiting: Item<I>[] = [];
  /** Outcomes that are in no ring, by index. */
  readonly #apart = new Map<number, Outcome<O>>();
  #taken = 0;
  #count = 0;
  /** Index of the next outcome, when in order. */
  #wanted = 0;
  #pumping = false;
  #pulling = false;
  #sourceEnded = false;
  #sourceError: { readonly error: unknown } | undefined;
  /** Why the pool did not run a task: no more are started while others run. */
  #refusal: { readonly error: unknown } | undefined;
  /** What ends the map at once. */
  #fatal: { readonly error: unknown } | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;
  #wakeSource: (() => void) | undefined;

  constructor(pool: TaskPool, source: FrameSource<I>, options: MapFramesOptions<I, O>) {
    const { ordered = true, ringSize = RING_BYTES, signal } = options;
    const { concurrency, ahead } = numbersOf(pool, options);
    this.#pool = pool;
    this.#options = options;
    this.#ordered = ordered;
    this.#concurrency = concurrency;
    this.#ahead = ahead;
    const { filename, name, busyPoll } = options;
    this.#workerBusyPoll = crowded(this.#concurrency + 1) ? 'off' : undefined;
    const polls = busyPoll ?? this.#workerBusyPoll;
    this.#taskOptions = {
      ringSize,
      ...(filename === undefined ? {} : { filename }),
      ...(name === undefined ? {} : { name }),
      ...(polls === undefined ? {} : { busyPoll: polls }),
    };
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#onAbort = () => {
      this.#fatal ??= { error: signal?.reason };
      for (const lane of this.#lanes) lane.abort(signal?.reason);
      this.#changed();
    };
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The next outcome if it is there, until `done` is called with it. */
  take(): Outcome<O> | undefined {
    if (!this.#pumping) {
      this.#pumping = true;
      void this.#pump();
    }
    if (this.#fatal !== undefined) throw this.#fatal.error;
    const outcome = this.#ordered ? this.#inOrder() : this.#anyOf();
    this.#assign();
    return outcome;
  }

  /** The next outcome when it has come, until `done` is called with it; undefined when there are no more. */
  async next(): Promise<Outcome<O> | undefined> {
    for (;;) {
      const outcome = this.take();
      if (outcome !== undefined) return outcome;
      if (this.#apart.has(this.#wanted) || (!this.#ordered && this.#apart.size > 0)) continue;
      if (this.#sourceEnded && this.#taken === 0) break;
      if (this.#refusal !== undefined && this.#lanes.length === 0 && this.#waiting.length > 0) throw this.#refusal.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#sourceError !== undefined) throw this.#sourceError.error;
    return undefined;
  }

  /** The outcome has been used. */
  done(outcome: Outcome<O>): void {
    if ('lent' in outcome) outcome.lent?.release();
    this.#wanted++;
    this.#taken--;
    this.#wakeSource?.();
  }

  /** Ends what still runs, and waits for it; `whole`: everything was answered. Rejects with an error of the source's `return`. */
  async stop(whole: boolean): Promise<void> {
    this.#stopped = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#wakeSource?.();
    const lanes = this.#lanes;
    for (const lane of lanes) {
      if (whole && lane.started) lane.finish();
      else lane.cancel();
    }
    try {
      if (!this.#sourceEnded && !this.#pulling) await this.#source.return?.();
      // One that is asked for its next value can only be told, not waited for.
      else if (!this.#sourceEnded) void Promise.resolve(this.#source.return?.()).catch(() => {});
    } finally {
      // A task that is still in the pool's queue will not be run.
      await Promise.all(lanes.filter((lane) => lane.handed).map((lane) => lane.settled));
      for (const lane of lanes) lane.cancel();
    }
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        while (!this.#stopped && this.#taken >= this.#concurrency * this.#ahead) {
          await new Promise<void>((resolve) => (this.#wakeSource = resolve));
        }
        if (this.#stopped) return;
        this.#pulling = true;
        const step = this.#source.next();
        const { done, value } = 'then' in step ? await step : step;
        this.#pulling = false;
        if (done || this.#stopped) break;
        this.#accept(value);
      }
    } catch (error) {
      this.#sourceError = { error };
    }
    this.#pulling = false;
    this.#sourceEnded = true;
    this.#changed();
  }

  #accept(frame: SourceFrame<I>): void {
    const { input } = this.#options;
    const usable = frame instanceof input || isFill(frame);
    const index = this.#count++;
    this.#taken++;
    if (usable) {
      this.#waiting.push({ index, frame, sent: undefined, length: 0, apart: false });
      this.#assign();
    } else {
      this.#fail(index, new SmcError('ERR_SMC_FRAME_TYPE', `frame ${index} of the source is no ${input.name} and has no fill()`));
    }
  }

  /** Gives what waits to lanes that have room for it, the least busy first, and starts lanes. */
  #assign(): void {
    if (this.#stopped || this.#fatal !== undefined) return;
    while (this.#waiting.length > 0) {
      const free = this.#lanes.filter((lane) => lane.started && !lane.over && lane.queue.length < this.#ahead);
      const lane = free.reduce<Lane<I, O> | undefined>((a, b) => (a === undefined || b.queue.length < a.queue.length ? b : a), undefined);
      // A worker that has nothing to do, or may be had, is better than the queue of one that computes.
      if ((lane === undefined || lane.queue.length > 0) && this.#start()) continue;
      if (lane === undefined) return;
      lane.hand(this.#waiting.shift() as Item<I>);
    }
  }

  /** Starts a lane, if one more than those that start is wanted and allowed. */
  #start(): boolean {
    const starting = this.#lanes.filter((lane) => !lane.started && !lane.over).length;
    const live = this.#lanes.filter((lane) => !lane.over).length;
    if (live >= this.#concurrency || starting >= this.#waiting.length || this.#refusal !== undefined) return false;
    const { input, output, data, signal } = this.#options;
    const lane: Lane<I, O> = new Lane(this.#pool, data, { input, output }, this.#taskOptions, this.#workerBusyPoll, signal !== undefined, {
      changed: () => {
        this.#look(lane);
        this.#changed();
      },
      refused: ({ index }, error) => this.#fail(index, error),
      spoiled: (error) => {
        this.#fatal ??= { error };
        this.#changed();
      },
    });
    this.#lanes.push(lane);
    return true;
  }

  /** Has a lane's task begun, or ended with nothing to answer? The empty frame that says it runs is taken. */
  #look(lane: Lane<I, O>): void {
    const began = !lane.started && this.#hasBegun(lane);
    if (lane.over && lane.queue.length === 0) {
      this.#drop(lane);
      // One that never did anything: others would do the same.
      if (began || !lane.started) {
        this.#refusal = { error: lane.reason ?? new SmcError('ERR_SMC_TASK_ENDED', 'the worker function is none of serveFrames()') };
      }
    } else if (began) {
      this.#refusal = undefined;
      this.#assign();
    }
  }

  #hasBegun(lane: Lane<I, O>): boolean {
    try {
      const first = lane.answers.take();
      first?.release();
      lane.started = first !== undefined;
    } catch (error) {
      this.#fatal ??= { error };
    }
    return lane.started;
  }

  #drop(lane: Lane<I, O>): void {
    this.#lanes = this.#lanes.filter((other) => other !== lane);
    lane.cancel();
  }

  #inOrder(): Outcome<O> | undefined {
    const apart = this.#apart.get(this.#wanted);
    if (apart !== undefined) {
      this.#apart.delete(this.#wanted);
      return apart;
    }
    const lane = this.#lanes.find(({ queue }) => queue.some(({ index }) => index === this.#wanted));
    while (lane !== undefined) {
      const outcome = this.#takeFrom(lane);
      if (outcome === undefined || outcome.index === this.#wanted) return outcome;
      this.#setApart(outcome);
    }
    // What is wanted may wait for a lane while younger frames have all there are: their answers make room for it, or show that
    // none will come.
    if (this.#waiting[0]?.index !== this.#wanted) return undefined;
    for (const other of this.#lanes.filter(({ over, queue }) => over || queue.length >= this.#ahead)) {
      let outcome = this.#takeFrom(other);
      while (outcome !== undefined) {
        this.#setApart(outcome);
        // Of one that is over nobody will tell again.
        outcome = other.over ? this.#takeFrom(other) : undefined;
      }
    }
    return undefined;
  }

  #setApart({ index, view, lent }: Answer<O>): void {
    this.#apart.set(index, { index, view: view.slice() as O });
    lent.release();
  }

  #anyOf(): Outcome<O> | undefined {
    for (const [index, outcome] of this.#apart) {
      this.#apart.delete(index);
      return outcome;
    }
    for (const lane of this.#lanes) {
      const outcome = this.#takeFrom(lane);
      if (outcome === undefined) continue;
      // The others have their turn first. One that is over may be with them no more.
      const others = this.#lanes.filter((other) => other !== lane);
      this.#lanes = others.length < this.#lanes.length ? [...others, lane] : others;
      return outcome;
    }
    return undefined;
  }

  #takeFrom(lane: Lane<I, O>): Answer<O> | undefined {
    if (!lane.started) return undefined;
    // Looked at first: a task that was over before has published all it ever will.
    const { over } = lane;
    const answer = lane.take();
    if (over && answer === undefined) this.#bury(lane);
    // With its last answer it has gone: it must not be waited for when the pool runs no more tasks, nor keep its rings.
    else if (over && lane.queue.length === 0) this.#drop(lane);
    return answer;
  }

  /** A lane without answers whose task is over: the frame it computed has failed, others get those behind it. */
  #bury(lane: Lane<I, O>): void {
    this.#drop(lane);
    this.#refusal = undefined;
    const [blamed, ...others] = lane.queue;
    if (blamed === undefined) return;
    const reason = lane.reason ?? new SmcError('ERR_SMC_TASK_ENDED', `the task returned without an answer to frame ${blamed.index}`);
    this.#fail(blamed.index, reason);
    this.#waiting = [...others, ...this.#waiting].sort((a, b) => a.index - b.index);
  }

  #fail(index: number, reason: unknown): void {
    this.#apart.set(index, { index, reason });
    this.#changed();
  }

  #changed(): void {
    this.#wake?.();
  }
}

/**
 * Are there more threads than processors, and has nobody said how to poll? Who polls then takes the time of who computes: 64 KiB
 * frames through 2 workers on 2 processors, 19 k/s without and 13 k/s with polling (transfer lists 11 k/s).
 */
const crowded = (threads: number): boolean => threads > usableCores() && resolveOptions({}).busyPoll === 'auto';

/** What a source gives is the user's: anything. Arrays have a fill() that is another. */
const isFill = (frame: unknown): boolean =>
  typeof frame === 'object' &&
  frame !== null &&
  !ArrayBuffer.isView(frame) &&
  !Array.isArray(frame) &&
  'fill' in frame &&
  typeof frame.fill === 'function';

interface Numbers {
  readonly concurrency?: number;
  readonly ahead?: number;
}

const numbersOf = (pool: TaskPool, { concurrency = pool.options?.maxThreads ?? 1, ahead = 2 }: Numbers) => ({ concurrency, ahead });

/** @throws SmcError `ERR_SMC_INVALID_OPTION` */
export function checkNumbers(call: string, pool: TaskPool, options: Numbers): void {
  for (const [name, value] of Object.entries(numbersOf(pool, options))) {
    expected(Number.isInteger(value) && value > 0, call, name, 'a positive integer', value);
  }
}
