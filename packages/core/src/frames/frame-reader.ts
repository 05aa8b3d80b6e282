// frame-reader.ts - the receiving half of typed frames: a typed array in the ring, looked at in place.
//
// The peer can write anything: length and tag are each read once, by an atomic load, and checked against what the cursor says
// is there; the elements are live memory (PeerView): numbers, which cannot harm whoever reads them.

import { SmcError } from '../errors.js';
import { maxRecord } from '../ring/records.js';
import { load } from '../ring/words.js';
import { at, type Place, placeOf, poison, watch } from './frame-checks.js';
import {
  bodyBytes,
  elementsOf,
  FILLER,
  FRAME_HEADER_BYTES,
  framedBytes,
  isTag,
  kindOf,
  MARK_TAG,
  nameOf,
  type TypedArray,
  type TypedArrayConstructor,
  wordsOf,
} from './frame-format.js';
import type { FrameLink } from './frame-link.js';
import { MAX_PLACES } from './frame-writer.js';

/** A frame that has arrived: lent until `release`. The object is used again for later frames. */
export interface ReadableFrame<T extends TypedArray> extends Disposable {
  /**
   * The elements, in memory the peer lent; copy with `slice()` what has to be kept. Over SMC-D the peer can still change
   * them: read each once.
   * @throws SmcError `ERR_SMC_FRAME_MISUSE` after release.
   */
  readonly view: T;
  /**
   * Gives the memory back to the peer, which writes there again. Also done by the end of a `using` block.
   * @throws SmcError `ERR_SMC_FRAME_MISUSE` when it was released before, and when something else was received since.
   */
  release(): void;
}

export class FrameReader<T extends TypedArray> {
  readonly link: FrameLink;
  readonly #kind: number;
  readonly #type: TypedArrayConstructor<T>;
  readonly #words: Int32Array;
  readonly #maxBody: number;
  readonly #checks: boolean;
  readonly #frames = new Map<number, Frame<T>>();
  /** The frame that is taken, by its hold: not the object, which may be lost. */
  held: Hold | undefined;
  /** Are marks expected, and is one next? Apart from the way of frames, on which every step counts. */
  #marks = false;
  #atMark = false;

  constructor(link: FrameLink, type: TypedArrayConstructor<T>, checks: boolean) {
    this.link = link;
    this.#kind = kindOf(type);
    this.#type = type;
    this.#words = wordsOf(link.rx);
    this.#maxBody = maxRecord(link.rx.capacity);
    this.#checks = checks;
  }

  take(): ReadableFrame<T> | undefined {
    if (this.held !== undefined) throw new SmcError('ERR_SMC_FRAME_MISUSE', `the frame before is not released${at(this.held.place)}`);
    const { rx, receivable } = this.link;
    if (!receivable) return undefined;
    const available = rx.available();
    if (rx.violated) return this.#violation('producer cursor');
    if (available === 0) return undefined;
    const { offset } = rx;
    if ((offset & 7) !== 0) {
      throw new SmcError('ERR_SMC_RING_MISUSE', 'the ring has been read as a byte stream or by records: no frame starts here');
    }
    if (available < FRAME_HEADER_BYTES) return this.#violation('frame');
    const body = load(this.#words, offset >> 2);
    if (body === FILLER) {
      const rest = rx.capacity - offset;
      if (rest > available || offset === 0) return this.#violation('filler');
      rx.advance(rest);
      this.link.taken();
      return this.take();
    }
    // What does not fit before the end of the ring has a filler there and begins at its start, mirrored or not.
    const most = Math.min(available, rx.capacity - offset);
    if (body < 0 || body > this.#maxBody || framedBytes(body) > most) return this.#violation('frame length');
    const tag = load(this.#words, (offset >> 2) + 1);
    if (body < 4 || !isTag(tag) || (tag & 0xff) !== this.#kind) {
      this.#atMark = body === bodyBytes(0) && tag === MARK_TAG;
      if (this.#atMark && this.#marks) return undefined;
      const found = body >= 4 && isTag(tag) ? `a frame of ${nameOf(tag & 0xff)}` : 'no frame';
      throw new SmcError('ERR_SMC_FRAME_TYPE', `what comes next is ${found}, not of ${this.#type.name}`);
    }
    const length = elementsOf(tag, body, this.#type.BYTES_PER_ELEMENT);
    if (length === undefined) return this.#violation('frame size');
    return this.#checks ? this.#checkedFrame(offset, length, framedBytes(body)) : this.#frame(offset, length, framedBytes(body));
  }

  /** The next frame, or 'mark' where a mark comes instead: {@link passMark} takes it. */
  takeOrMark(): ReadableFrame<T> | 'mark' | undefined {
    this.#marks = true;
    this.#atMark = false;
    try {
      const frame = this.take();
      return this.#atMark ? 'mark' : frame;
    } finally {
      this.#marks = false;
    }
  }

  /** Takes the mark that {@link takeOrMark} has found. The connection may end with it. */
  passMark(): void {
    this.link.rx.advance(FRAME_HEADER_BYTES);
    this.link.taken();
  }

  /** How many frames have come, behind the one that is held, up to the first mark. For looking only: {@link take} checks them. */
  framesAhead(): number {
    if (!this.link.receivable) return 0;
    const { rx } = this.link;
    const end = rx.available();
    let count = 0;
    for (let at = this.held?.bytes ?? 0; at + FRAME_HEADER_BYTES <= end; ) {
      const offset = (rx.cursor + at) & (rx.capacity - 1);
      const body = load(this.#words, offset >> 2);
      if (body === FILLER) at += rx.capacity - offset;
      else if (body < 4 || (body & 7) !== 4 || load(this.#words, (offset >> 2) + 1) === MARK_TAG) break;
      else {
        at += framedBytes(body);
        count++;
      }
    }
    return count;
  }

  /** Ends the hold of whoever has the frame. */
  releaseHeld(): void {
    if (this.held !== undefined) this.free(this.held);
  }

  free(hold: Hold): void {
    const { rx, receivable } = this.link;
    this.held = undefined;
    if (!receivable) return;
    if (rx.cursor !== hold.cursor) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `something else was received between take and release${at(hold.place)}`);
    }
    rx.advance(hold.bytes);
    this.link.taken();
  }

  /** Ends the hold of a frame that was lost; false when it had ended. */
  #drop(hold: Hold): boolean {
    if (this.held !== hold) return false;
    try {
      this.free(hold);
    } catch {
      // Something else has been received: its place is free already.
    }
    return true;
  }

  #violation(what: string): undefined {
    this.link.violation(what);
    return undefined;
  }

  #frame(offset: number, length: number, bytes: number): Frame<T> {
    const { data, cursor } = this.link.rx;
    let frame = this.#frames.get(offset);
    if (frame === undefined || frame.elements.length !== length) {
      frame = new Frame(this, { place: undefined, bytes, cursor }, this.#live(data, offset, length), false);
      if (this.#frames.size >= MAX_PLACES) this.#frames.clear();
      this.#frames.set(offset, frame);
    }
    frame.hold.bytes = bytes;
    frame.hold.cursor = cursor;
    this.held = frame.hold;
    return frame;
  }

  /** In development mode: a frame of its own, and a private copy. Apart, for its closure would cost every frame a context. */
  #checkedFrame(offset: number, length: number, bytes: number): Frame<T> {
    const { data, cursor } = this.link.rx;
    const hold: Hold = { place: placeOf(this.take), bytes, cursor };
    const copy = new this.#type(length);
    copy.set(this.#live(data, offset, length) as never);
    const frame = new Frame(this, hold, copy, true);
    watch(frame, { drop: () => this.#drop(hold), place: hold.place });
    this.held = hold;
    return frame;
  }

  #live(data: Uint8Array, offset: number, length: number): T {
    return new this.#type(data.buffer, data.byteOffset + offset + FRAME_HEADER_BYTES, length);
  }
}

/** What a taken frame occupies, and who took it. */
interface Hold {
  readonly place: Place;
  bytes: number;
  cursor: number;
}

class Frame<T extends TypedArray> implements ReadableFrame<T> {
  readonly hold: Hold;
  readonly elements: T;
  readonly #reader: FrameReader<T>;
  /** In development mode the elements are a private copy, which ends with the frame. */
  readonly #private: boolean;

  constructor(reader: FrameReader<T>, hold: Hold, elements: T, inPrivate: boolean) {
    this.#reader = reader;
    this.hold = hold;
    this.elements = elements;
    this.#private = inPrivate;
  }

  get view(): T {
    this.#check('use');
    return this.elements;
  }

  release(): void {
    this.#check('release');
    if (this.#private) poison(this.elements.buffer);
    this.#reader.free(this.hold);
  }

  [Symbol.dispose](): void {
    if (this.#reader.held === this.hold) this.release();
  }

  #check(what: string): void {
    if (this.#reader.held !== this.hold) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `${what} of a frame that was released${at(this.hold.place)}`);
    }
  }
}
