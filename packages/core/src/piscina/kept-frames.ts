// kept-frames.ts - frames that have been sent, in memory that stays this side's until their answers have been used: a worker may
// answer in place. Its release of a frame alone makes no room.

import { FRAME_HEADER_BYTES, type TypedArray, type TypedArrayConstructor } from '../frames/frame-format.js';
import { MAX_PLACES } from '../frames/frame-writer.js';
import type { RingProducer } from '../ring/producer.js';
import { RingSurface } from '../socket/ring-surface.js';
import type { RingStream } from '../socket/ring-stream.js';
import type { ChannelEnd } from '../worker/channel-end.js';

export class KeptFrames<O extends TypedArray> {
  readonly #stream: RingStream;
  readonly #tx: RingProducer;
  readonly #type: TypedArrayConstructor<O>;
  /** One view per place and length serves for good. */
  readonly #views = new Map<number, O>();

  constructor({ ring }: ChannelEnd, type: TypedArrayConstructor<O>) {
    this.#stream = RingSurface.streamOf(ring);
    this.#tx = this.#stream.channel.tx;
    this.#type = type;
  }

  /** Where the frame is that has just been reserved. */
  get cursor(): number {
    return this.#tx.cursor;
  }

  /** The elements of the frame that was sent there, as the worker has left them. */
  view(cursor: number, length: number): O {
    const { data, capacity } = this.#tx;
    const offset = data.byteOffset + (cursor & (capacity - 1)) + FRAME_HEADER_BYTES;
    let view = this.#views.get(offset);
    if (view === undefined || view.length !== length) {
      view = new this.#type(data.buffer, offset, length);
      if (this.#views.size >= MAX_PLACES) this.#views.clear();
      this.#views.set(offset, view);
    }
    return view;
  }

  /** From this frame on they are kept; undefined: none is. Whoever waits for room may have it now. */
  keepFrom(cursor: number | undefined): void {
    this.#tx.keep(cursor);
    this.#stream.writer?.();
  }
}
