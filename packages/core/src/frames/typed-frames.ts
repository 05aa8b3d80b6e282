// typed-frames.ts - typed arrays as messages: filled in the memory the peer reads, and looked at there.

import type { Duplex } from 'node:stream';
import { SmcError } from '../errors.js';
import { expectDuplex, expected, expectOptions } from '../given.js';
import { RingSurface } from '../socket/ring-surface.js';
import { BlockingEnd } from '../worker/blocking-end.js';
import { DEVELOPMENT } from './frame-checks.js';
import { kindOf, type TypedArray, type TypedArrayConstructor } from './frame-format.js';
import type { AsyncFrameLink, FrameLink } from './frame-link.js';
import { FrameReader, type ReadableFrame } from './frame-reader.js';
import { FrameWriter, type WritableFrame } from './frame-writer.js';
import { RingLink } from './ring-link.js';
import { StreamLink } from './stream-link.js';

export interface FrameOptions {
  /**
   * Development mode: views are private copies that read as length 0 after commit or release, misuse names the place
   * that took the frame, and a frame dropped unreleased is freed with a warning (`SMC_FRAME_LEAK`). Default: on when
   * `NODE_ENV` is 'development'.
   */
  checks?: boolean;
  /** Over a connection without a ring: bytes of the private ring of each direction, a power of two. Default 1 MiB. */
  ringSize?: number;
}

/** What {@link frames} needs of a connection: a socket, a channel end, or any connected Duplex of bytes. */
export type FrameConnection = Duplex & { readonly ring?: RingSurface | undefined; readonly connecting?: boolean };

const STREAM_RING_BYTES = 1024 * 1024;

/** What both kinds of ends have. Allocates nothing per frame outside development mode. */
abstract class FramesBase<T extends TypedArray> {
  protected readonly writer: FrameWriter<T>;
  protected readonly reader: FrameReader<T>;
  /** Are views the memory of the ring, not copies? @internal */
  readonly live: boolean;

  constructor(link: FrameLink, type: TypedArrayConstructor<T>, checks: boolean) {
    this.live = !checks;
    this.writer = new FrameWriter(link, type, checks);
    this.reader = new FrameReader(link, type, checks);
  }

  /** Most elements of one frame: what fits into half the ring we write. */
  get maxLength(): number {
    return this.writer.maxLength;
  }

  /**
   * A frame of `length` elements to fill in place; undefined when there is no room now and when either side has closed.
   * @throws SmcError `ERR_SMC_RECORD_TOO_LARGE` above {@link maxLength}; `ERR_SMC_FRAME_MISUSE` while another is reserved;
   * `ERR_SMC_RING_MISUSE` where bytes or records were sent that no frame can follow.
   */
  reserve(length: number): WritableFrame<T> | undefined {
    return this.writer.reserve(length);
  }

  /**
   * The next frame, or undefined when none is there.
   * @throws SmcError `ERR_SMC_FRAME_MISUSE` while the one before is held; `ERR_SMC_FRAME_TYPE` when what comes next is another
   * type of frame or none, which is left where it is; `ERR_SMC_RING_MISUSE` where no frame starts.
   */
  take(): ReadableFrame<T> | undefined {
    return this.reader.take();
  }

  /** As {@link FrameWriter.mark}. @internal */
  mark(): boolean {
    return this.writer.mark();
  }

  /** As {@link FrameReader.takeOrMark}. @internal */
  takeOrMark(): ReadableFrame<T> | 'mark' | undefined {
    return this.reader.takeOrMark();
  }

  /** As {@link FrameReader.passMark}. @internal */
  passMark(): void {
    this.reader.passMark();
  }

  /** As {@link FrameReader.framesAhead}. @internal */
  framesAhead(): number {
    return this.reader.framesAhead();
  }
}

/** Typed frames of a connection with an event loop, see {@link frames}. */
export class TypedFrames<T extends TypedArray> extends FramesBase<T> implements AsyncIterable<ReadableFrame<T>> {
  readonly #link: AsyncFrameLink;

  /** @internal */
  constructor(link: AsyncFrameLink, type: TypedArrayConstructor<T>, checks: boolean) {
    super(link, type, checks);
    this.#link = link;
  }

  /** Resolves to true when {@link reserve} has room for `length` elements, to false when either side has closed. */
  async writable(length: number): Promise<boolean> {
    return this.#link.writable(this.writer.needed(length));
  }

  /** Resolves to true when there may be a frame to {@link take}, to false when the peer has ended and all were taken. */
  async readable(): Promise<boolean> {
    this.#requireReleased();
    return this.#link.readable();
  }

  /**
   * The frames as they come, each until the next is asked for or it is released. Leaving the loop keeps the connection open.
   * @throws the connection's error when it did not end in order; as {@link take}
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReadableFrame<T>, void, undefined> {
    const unhear = this.#link.hear();
    try {
      for (;;) {
        const frame = this.take();
        if (frame !== undefined) {
          yield frame;
          this.reader.releaseHeld();
        } else if (!(await this.#link.readable())) break;
      }
      if (this.#link.error !== null) throw this.#link.error;
    } finally {
      this.reader.releaseHeld();
      unhear();
    }
  }

  #requireReleased(): void {
    if (this.reader.held !== undefined) throw new SmcError('ERR_SMC_FRAME_MISUSE', 'release the frame before waiting for the next');
  }
}

/** Typed frames of a thread that blocks, see {@link frames}. */
export class BlockingFrames<T extends TypedArray> extends FramesBase<T> implements Iterable<ReadableFrame<T>> {
  readonly #end: BlockingEnd;

  /** @internal */
  constructor(end: BlockingEnd, type: TypedArrayConstructor<T>, checks: boolean) {
    super(end.link, type, checks);
    this.#end = end;
  }

  /** Waits until {@link reserve} has room for `length` elements; false as of {@link BlockingEnd.writable}. */
  writable(length: number, timeout?: number): boolean {
    return this.#end.writable(this.writer.needed(length), timeout);
  }

  /** Waits until there may be a frame to {@link take}; false as of {@link BlockingEnd.readable}. */
  readable(timeout?: number): boolean {
    if (this.reader.held !== undefined) throw new SmcError('ERR_SMC_FRAME_MISUSE', 'release the frame before waiting for the next');
    return this.#end.readable(timeout);
  }

  /** The frames as they come, each until the next is asked for or it is released. Throws what {@link readable} throws. */
  *[Symbol.iterator](): Generator<ReadableFrame<T>, void, undefined> {
    try {
      do {
        for (let frame = this.take(); frame !== undefined; frame = this.take()) {
          yield frame;
          this.reader.releaseHeld();
        }
      } while (this.readable());
    } finally {
      this.reader.releaseHeld();
    }
  }
}

/**
 * Typed arrays as messages over a connection: both ends call this with the same type. Over a ring (worker channel, SMC-D)
 * nothing is copied; over anything else, as TCP, the same calls copy. Errors of the connection are its own: listen to 'error'.
 *
 *     const floats = frames(end, Float32Array);
 *     if (await floats.writable(1024)) { const frame = floats.reserve(1024); fill(frame.view); frame.commit(); }
 *     for await (const frame of floats) sum(frame.view);
 *
 * One direction carries frames, records or bytes; frames follow others only where a multiple of 8 bytes went before.
 * @throws SmcError `ERR_SMC_INVALID_OPTION` for no connection, no class of typed arrays, a ring size that cannot be, and a socket that
 * still connects.
 */
export function frames<T extends TypedArray>(end: BlockingEnd, type: TypedArrayConstructor<T>, options?: FrameOptions): BlockingFrames<T>;
export function frames<T extends TypedArray>(end: FrameConnection, type: TypedArrayConstructor<T>, options?: FrameOptions): TypedFrames<T>;
export function frames<T extends TypedArray>(
  end: BlockingEnd | FrameConnection,
  type: TypedArrayConstructor<T>,
  options: FrameOptions = {},
): BlockingFrames<T> | TypedFrames<T> {
  if (!(end instanceof BlockingEnd)) expectDuplex(end, 'frames');
  // Before anything listens to the connection.
  kindOf(type);
  expectOptions(options, 'frames');
  const { checks = DEVELOPMENT, ringSize = STREAM_RING_BYTES } = options;
  expected(typeof checks === 'boolean', 'frames', 'checks', 'true or false', checks);
  if (end instanceof BlockingEnd) return new BlockingFrames(end, type, checks);
  if (end.connecting) throw new SmcError('ERR_SMC_INVALID_OPTION', "frames: the socket is not connected: wait for 'connect'");
  if (end.ring instanceof RingSurface) return new TypedFrames(new RingLink(end.ring, end), type, checks);
  const possible = Number.isInteger(ringSize) && ringSize >= 64 && ringSize <= 2 ** 30 && (ringSize & (ringSize - 1)) === 0;
  expected(possible, 'frames', 'ringSize', 'a power of two from 64 to 2^30', ringSize);
  return new TypedFrames(new StreamLink(end, ringSize), type, checks);
}
