// frame-writer.ts - the sending half of typed frames: a typed array in the ring, to be filled in place.

import { SmcError } from '../errors.js';
import { at, type Place, placeOf, poison, watch } from './frame-checks.js';
import {
  bodyBytes,
  FRAME_HEADER_BYTES,
  framedBytes,
  kindOf,
  MARK_TAG,
  maxPayload,
  needed,
  place,
  tagOf,
  type TypedArray,
  type TypedArrayConstructor,
  wordsOf,
} from './frame-format.js';
import type { FrameLink } from './frame-link.js';

/** Handles are kept per place in the ring; so many different places are remembered. */
export const MAX_PLACES = 4096;

/** A frame to fill: lent from `reserve` to `commit` or `abandon`. The object is used again for later frames. */
export interface WritableFrame<T extends TypedArray> extends Disposable {
  /**
   * The elements, as they were left by whoever used the memory before. Not to be kept.
   * @throws SmcError `ERR_SMC_FRAME_MISUSE` after commit or abandon.
   */
  readonly view: T;
  /**
   * Sends the first `length` elements (default: all). Nothing happens once the connection is closed.
   * @throws SmcError `ERR_SMC_FRAME_MISUSE` when it was committed or abandoned before, for more elements than were reserved, and
   * when something else was sent since.
   */
  commit(length?: number): void;
  /** Gives the room back unsent. Also what leaving a `using` block without commit does. Idempotent. */
  abandon(): void;
}

export class FrameWriter<T extends TypedArray> {
  readonly link: FrameLink;
  readonly kind: number;
  readonly words: Int32Array;
  readonly type: TypedArrayConstructor<T>;
  readonly maxLength: number;
  readonly #checks: boolean;
  readonly #frames = new Map<number, Frame<T>>();
  /** The frame that is reserved, by its hold: not the object, which may be lost. */
  held: Hold | undefined;

  constructor(link: FrameLink, type: TypedArrayConstructor<T>, checks: boolean) {
    this.link = link;
    this.kind = kindOf(type);
    this.type = type;
    this.words = wordsOf(link.tx);
    this.maxLength = Math.floor(maxPayload(link.tx.capacity) / type.BYTES_PER_ELEMENT);
    this.#checks = checks;
  }

  /** Free bytes {@link reserve} needs for so many elements. */
  needed(length: number): number {
    return needed(this.link.tx, this.#total(length));
  }

  reserve(length: number): WritableFrame<T> | undefined {
    if (this.held !== undefined) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `a frame is reserved and neither committed nor abandoned${at(this.held.place)}`);
    }
    const total = this.#total(length);
    if (!this.link.sendable) return undefined;
    const offset = place(this.link.tx, this.words, total);
    if (offset < 0) return undefined;
    return this.#checks ? this.#checkedFrame(offset, length) : this.#frame(offset, length);
  }

  /** Sends a mark instead of a frame; false when there is no room now, and when either side has closed. */
  mark(): boolean {
    if (!this.link.sendable) return false;
    const offset = place(this.link.tx, this.words, FRAME_HEADER_BYTES);
    if (offset < 0) return false;
    this.words[offset >> 2] = bodyBytes(0);
    this.words[(offset >> 2) + 1] = MARK_TAG;
    this.link.tx.advance(FRAME_HEADER_BYTES);
    this.link.sent();
    return true;
  }

  /** Ends the hold of a frame that was lost; false when it had ended. */
  #drop(hold: Hold): boolean {
    if (this.held !== hold) return false;
    this.held = undefined;
    return true;
  }

  #total(length: number): number {
    if (!(Number.isInteger(length) && length >= 0)) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `a frame of ${String(length)} elements`);
    }
    if (length > this.maxLength) {
      const limit = `this ring takes up to ${this.maxLength}`;
      throw new SmcError('ERR_SMC_RECORD_TOO_LARGE', `a frame of ${length} elements of ${this.type.name}; ${limit}`);
    }
    return framedBytes(bodyBytes(length * this.type.BYTES_PER_ELEMENT));
  }

  #frame(offset: number, length: number): Frame<T> {
    let frame = this.#frames.get(offset);
    if (frame === undefined || frame.elements.length !== length) {
      const { data } = this.link.tx;
      const view = new this.type(data.buffer, data.byteOffset + offset + FRAME_HEADER_BYTES, length);
      frame = new Frame(this, { place: undefined, offset, cursor: 0 }, view, false);
      if (this.#frames.size >= MAX_PLACES) this.#frames.clear();
      this.#frames.set(offset, frame);
    }
    frame.hold.cursor = this.link.tx.cursor;
    this.held = frame.hold;
    return frame;
  }

  /** In development mode: a frame of its own, in private memory. Apart, for its closure would cost every frame a context. */
  #checkedFrame(offset: number, length: number): Frame<T> {
    const hold: Hold = { place: placeOf(this.reserve), offset, cursor: this.link.tx.cursor };
    const frame = new Frame(this, hold, new this.type(length), true);
    watch(frame, { drop: () => this.#drop(hold), place: hold.place });
    this.held = hold;
    return frame;
  }
}

/** Where a reserved frame is, and who reserved it. */
interface Hold {
  readonly place: Place;
  readonly offset: number;
  /** The producer cursor at that time: nothing else may be written until the commit. */
  cursor: number;
}

class Frame<T extends TypedArray> implements WritableFrame<T> {
  readonly hold: Hold;
  readonly elements: T;
  readonly #writer: FrameWriter<T>;
  /** In development mode the elements are in private memory, which ends with the frame. */
  readonly #private: boolean;

  constructor(writer: FrameWriter<T>, hold: Hold, elements: T, inPrivate: boolean) {
    this.#writer = writer;
    this.hold = hold;
    this.elements = elements;
    this.#private = inPrivate;
  }

  get view(): T {
    this.#check('use');
    return this.elements;
  }

  commit(length = this.elements.length): void {
    this.#check('commit');
    const { link, words, kind, type } = this.#writer;
    const { tx } = link;
    const { offset, cursor } = this.hold;
    if (!link.sendable) return this.abandon();
    if (!(Number.isInteger(length) && length >= 0 && length <= this.elements.length)) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `commit(${String(length)}) of a frame of ${this.elements.length} elements`);
    }
    if (tx.cursor !== cursor) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', 'something else was sent between reserve and commit; the frame is not');
    }
    const payload = length * type.BYTES_PER_ELEMENT;
    if (this.#private) {
      const bytes = new Uint8Array(this.elements.buffer, 0, payload);
      tx.copy(bytes, 0, payload, offset + FRAME_HEADER_BYTES);
    }
    const body = bodyBytes(payload);
    words[offset >> 2] = body;
    words[(offset >> 2) + 1] = tagOf(kind, payload);
    tx.advance(framedBytes(body));
    this.#end();
    link.sent();
  }

  abandon(): void {
    if (this.#writer.held === this.hold) this.#end();
  }

  [Symbol.dispose](): void {
    this.abandon();
  }

  #check(what: string): void {
    if (this.#writer.held !== this.hold) {
      throw new SmcError('ERR_SMC_FRAME_MISUSE', `${what} of a frame that was committed or abandoned${at(this.hold.place)}`);
    }
  }

  #end(): void {
    this.#writer.held = undefined;
    if (this.#private) poison(this.elements.buffer);
  }
}
