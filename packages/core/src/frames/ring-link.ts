// ring-link.ts - typed frames over `ring` of a socket or channel end.

import type { Duplex } from 'node:stream';
import { RingSurface } from '../socket/ring-surface.js';
import type { RingConsumer } from '../ring/consumer.js';
import type { RingProducer } from '../ring/producer.js';
import type { RingStream } from '../socket/ring-stream.js';
import type { AsyncFrameLink } from './frame-link.js';

/**
 * Listens to 'error' of a connection on behalf of somebody who is told by other means. The event comes later than the news: a
 * connection that has failed by the end of it goes on being listened to.
 */
export function hearing(owner: Duplex): () => void {
  const heard = (): void => {};
  owner.on('error', heard);
  return () => {
    if (owner.errored === null) owner.off('error', heard);
  };
}

export class RingLink implements AsyncFrameLink {
  readonly tx: RingProducer;
  readonly rx: RingConsumer;
  readonly #ring: RingSurface;
  readonly #stream: RingStream;
  readonly #owner: Duplex;
  #reading = false;

  constructor(ring: RingSurface, owner: Duplex) {
    const stream = RingSurface.streamOf(ring);
    this.#ring = ring;
    this.#stream = stream;
    this.#owner = owner;
    this.tx = stream.channel.tx;
    this.rx = stream.channel.rx;
  }

  get sendable(): boolean {
    const { closed, peerClosed, sender } = this.#stream;
    return !closed && !peerClosed && sender.idle;
  }

  get receivable(): boolean {
    if (!this.#reading) {
      // The first receiving call takes the direction over from the stream.
      this.#reading = true;
      this.#ring.peek(0);
    }
    return !this.#stream.closed;
  }

  get error(): Error | null {
    return this.#owner.errored;
  }

  hear(): () => void {
    return hearing(this.#owner);
  }

  sent(): void {
    this.tx.publish();
    this.#stream.channel.notify(true);
  }

  taken(): void {
    const stream = this.#stream;
    if (this.rx.publish()) stream.channel.notify();
    if (this.rx.known === 0) stream.noteState();
  }

  violation(what: string): void {
    this.#stream.violation(what);
  }

  readable(): Promise<boolean> {
    return this.#ring.readable();
  }

  writable(bytes: number): Promise<boolean> {
    return this.#ring.writable(bytes);
  }
}
