// frames.ts - typed arrays one way: filled by the sender, looked at by the receiver, in one of two manners.

import { now } from '../clock.js';
import { MeasureError } from '../errors.js';
import type { Opening, Touch } from '../lanes.js';
import type { Port } from '../transports/port.js';
import { carrierOf, type FrameCarrier } from './frame-carriers.js';
import type { Talker } from './talker.js';

/** Elements of a 64-byte line. */
const STEP = 16;
/** First element of the frame that says: this was all. */
const END = -1;
/** Frames are numbered up to here, so that every sum is exact. */
const NUMBERS = 1024;

/**
 * Calls `work` as code of its own. Where V8 puts it into its caller the same sum took 80 us or 300, by what else the caller does: every
 * lane is to do the same work. Nothing is put into `Array.from`, which is not JavaScript.
 */
function apart<T>(work: (view: Float32Array) => T, view: Float32Array): T {
  return Array.from([view], work)[0] as T;
}

/** Element `i` of frame `number` is their sum. */
function fill(view: Float32Array, touch: Touch, number: number): void {
  const { length } = view;
  if (touch === 'lines') for (let i = 0; i < length; i += STEP) view[i] = number + i;
  else for (let i = 0; i < length; i++) view[i] = number + i;
}

/** Four sums at a time: one would wait for each addition. */
function sum(view: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < view.length; i += 4) {
    a += view[i] as number;
    b += view[i + 1] as number;
    c += view[i + 2] as number;
    d += view[i + 3] as number;
  }
  return a + b + c + d;
}

function sumOfLines(view: Float32Array): number {
  let all = 0;
  for (let i = 0; i < view.length; i += STEP) all += view[i] as number;
  return all;
}

export class FrameTalker implements Talker {
  readonly #carrier: FrameCarrier;
  readonly #touch: Touch;
  #number = 0;
  /** Of the frame to be filled. */
  #filled = 0;
  readonly #fill = (view: Float32Array): void => fill(view, this.#touch, this.#filled);

  constructor(port: Port, opening: Opening) {
    this.#carrier = carrierOf(port, opening);
    this.#touch = opening.touch ?? 'elements';
  }

  echo(): never {
    throw new MeasureError('unavailable', 'frames are measured one way');
  }

  async ping(): Promise<never> {
    return this.echo();
  }

  sink(): void {
    this.#carrier.receive((view) => {
      if (view[0] === END) this.#carrier.acknowledge();
      else this.#check(view);
    });
  }

  async send(ms: number): Promise<{ seconds: number; messages: number }> {
    const carrier = this.#carrier;
    const acknowledged = carrier.acknowledged();
    let messages = 0;
    const begin = now();
    const deadline = begin + ms * 1000;
    for (; now() < deadline; messages++) {
      this.#filled = this.#next();
      const waiting = carrier.send((view) => apart(this.#fill, view));
      if (waiting !== undefined) await waiting;
    }
    await carrier.send((view) => view.fill(END, 0, 1));
    await acknowledged;
    return { seconds: (now() - begin) / 1e6, messages };
  }

  #next(): number {
    const number = this.#number;
    this.#number = (number + 1) % NUMBERS;
    return number;
  }

  #check(view: Float32Array): void {
    const number = this.#next();
    const [count, step, found] =
      this.#touch === 'lines' ? [view.length / STEP, STEP, apart(sumOfLines, view)] : [view.length, 1, apart(sum, view)];
    const expected = count * number + (step * count * (count - 1)) / 2;
    if (found !== expected) throw new MeasureError('mismatch', `the sum of a frame is ${found}, not ${expected}`);
  }
}
