// frame-carriers.ts - how a typed array gets from one end to the other: in a ring, by a transfer list, as bytes of a TCP
// connection, or cloned by child_process. Each in the quickest plain way there is.

import type { FrameConnection, TypedFrames } from '@smcjs/core/channel';
import { MeasureError } from '../errors.js';
import type { Opening } from '../lanes.js';
import { PostingPort } from '../transports/message-port.js';
import { AssembledPort } from '../transports/net-frames.js';
import type { Port } from '../transports/port.js';
import { turn } from './talker.js';

export type Fill = (view: Float32Array) => void;

export interface FrameCarrier {
  /** Has a frame filled and sends it; a promise where it has to wait. One at a time. */
  send(fill: Fill): Promise<void> | undefined;
  /** From now on: looks at every frame. A view is not looked at again. */
  receive(look: (view: Float32Array) => void): void;
  acknowledge(): void;
  acknowledged(): Promise<void>;
}

/** Frames under way that are not in a ring, as many as are in ours. */
const WINDOW = 3;
const ACKNOWLEDGEMENT = Buffer.alloc(1);

export function carrierOf(port: Port, { lane, bytes }: Opening): FrameCarrier {
  const length = bytes / Float32Array.BYTES_PER_ELEMENT;
  if (port instanceof PostingPort) return new TransferCarrier(port, length, lane.mode === 'recycled');
  if (port instanceof AssembledPort) return new BytesCarrier(port, length);
  return lane.transport === 'ipc' ? new CloneCarrier(port, length) : new RingCarrier(port, length);
}

const next = (port: Port, event: string): Promise<void> => new Promise((resolve) => port.once(event, () => resolve()));

/** Frames between two turns of the loop of a sender that never has to wait. */
const FRAMES_PER_TURN = 16;

class RingCarrier implements FrameCarrier {
  readonly #frames: Promise<TypedFrames<Float32Array>>;
  readonly #length: number;
  #ready: TypedFrames<Float32Array> | undefined;
  #sent = 0;

  constructor(port: Port, length: number) {
    this.#frames = opened(port);
    this.#length = length;
  }

  send(fill: Fill): Promise<void> | undefined {
    const frame = ++this.#sent % FRAMES_PER_TURN === 0 ? undefined : this.#ready?.reserve(this.#length);
    if (frame === undefined) return this.#sendLater(fill);
    fill(frame.view);
    frame.commit();
    return undefined;
  }

  async #sendLater(fill: Fill): Promise<void> {
    this.#ready = await this.#frames;
    if (this.#sent % FRAMES_PER_TURN === 0) await turn();
    if (!(await this.#ready.writable(this.#length))) throw new MeasureError('failed', 'the peer closed the ring');
    const frame = this.#ready.reserve(this.#length);
    if (frame === undefined) throw new MeasureError('failed', 'there was no room after all');
    fill(frame.view);
    frame.commit();
  }

  receive(look: (view: Float32Array) => void): void {
    void (async () => {
      for await (const { view } of await this.#frames) look(view);
    })();
  }

  acknowledge(): void {
    void this.#frames.then((frames) => frames.reserve(1)?.commit());
  }

  async acknowledged(): Promise<void> {
    const frames = await this.#frames;
    await frames.readable();
    frames.take()?.release();
  }
}

async function opened(port: Port): Promise<TypedFrames<Float32Array>> {
  const connection = port as Port & FrameConnection;
  // The stream must not read what comes first.
  connection.ring?.peek(0);
  connection.on('error', () => {}); // told of by the port's keeper
  const { frames } = await import('@smcjs/core/channel');
  return frames(connection, Float32Array);
}

/** postMessage with a transfer list: of new arrays, or of those the receiver has sent back. */
class TransferCarrier implements FrameCarrier {
  readonly #port: PostingPort;
  readonly #length: number;
  readonly #recycled: boolean;
  readonly #free: Float32Array[] = [];
  #credit = WINDOW;
  #room: (() => void) | undefined;
  #done: (() => void) | undefined;

  constructor(port: PostingPort, length: number, recycled: boolean) {
    this.#port = port;
    this.#length = length;
    this.#recycled = recycled;
  }

  send(fill: Fill): Promise<void> | undefined {
    this.#credit--;
    const view = this.#free.pop() ?? new Float32Array(this.#length);
    fill(view);
    this.#port.post(view, [view.buffer as ArrayBuffer]);
    return this.#credit > 0 ? undefined : new Promise((resolve) => (this.#room = resolve));
  }

  receive(look: (view: Float32Array) => void): void {
    this.#port.on('data', (view: Float32Array) => {
      look(view);
      if (this.#recycled) this.#port.post(view, [view.buffer as ArrayBuffer]);
      else this.#port.post(null);
    });
  }

  acknowledge(): void {
    this.#port.post('end');
  }

  acknowledged(): Promise<void> {
    if (this.#done === undefined) this.#port.on('data', (answer: Float32Array | null | 'end') => this.#onAnswer(answer));
    return new Promise((resolve) => (this.#done = resolve));
  }

  #onAnswer(answer: Float32Array | null | 'end'): void {
    if (answer === 'end') return this.#done?.();
    if (answer !== null) this.#free.push(answer);
    this.#credit++;
    this.#room?.();
    this.#room = undefined;
  }
}

/** Elements as bytes of a stream, from memory that is used again once it has been written. */
class BytesCarrier implements FrameCarrier {
  readonly #port: AssembledPort;
  readonly #free: Float32Array[];
  #room: (() => void) | undefined;

  constructor(port: AssembledPort, length: number) {
    this.#port = port;
    this.#free = Array.from({ length: WINDOW }, () => new Float32Array(length));
  }

  send(fill: Fill): Promise<void> | undefined {
    const view = this.#free.pop() as Float32Array;
    fill(view);
    this.#port.send(new Uint8Array(view.buffer), () => {
      this.#free.push(view);
      this.#room?.();
      this.#room = undefined;
    });
    return this.#free.length > 0 ? undefined : new Promise((resolve) => (this.#room = resolve));
  }

  receive(look: (view: Float32Array) => void): void {
    this.#port.onFrame = look;
  }

  acknowledge(): void {
    this.#port.send(ACKNOWLEDGEMENT, () => {});
  }

  acknowledged(): Promise<void> {
    return next(this.#port, 'data');
  }
}

/** child_process with 'advanced' serialization: a typed array is cloned as one. */
class CloneCarrier implements FrameCarrier {
  readonly #port: Port;
  readonly #view: Float32Array;

  constructor(port: Port, length: number) {
    this.#port = port;
    this.#view = new Float32Array(length);
  }

  send(fill: Fill): Promise<void> | undefined {
    fill(this.#view);
    return this.#port.write(this.#view as unknown as Uint8Array) ? undefined : next(this.#port, 'drain');
  }

  receive(look: (view: Float32Array) => void): void {
    this.#port.on('data', (view: unknown) => look(view as Float32Array));
  }

  acknowledge(): void {
    this.#port.write(ACKNOWLEDGEMENT);
  }

  acknowledged(): Promise<void> {
    return next(this.#port, 'data');
  }
}
