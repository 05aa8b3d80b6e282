// frame-link.ts - what typed frames need of the connection under them.

import type { RingConsumer } from '../ring/consumer.js';
import type { RingProducer } from '../ring/producer.js';

/** A pair of rings, whoever waits for them. */
export interface FrameLink {
  readonly tx: RingProducer;
  readonly rx: RingConsumer;
  /** May bytes be written now? */
  readonly sendable: boolean;
  /** May bytes be read? Not once this side is closed. */
  readonly receivable: boolean;
  /** Publishes what was written and tells the peer. */
  sent(): void;
  /** Gives back what was advanced over. */
  taken(): void;
  /** The peer wrote what cannot be: the connection ends. */
  violation(what: string): void;
}

/** One that is waited for by promises. */
export interface AsyncFrameLink extends FrameLink {
  /** True when there are bytes; false when nothing more will come. */
  readable(): Promise<boolean>;
  /** True when `bytes` are free; false when either side has closed. */
  writable(bytes: number): Promise<boolean>;
  /** Why the connection ended, if not in order. */
  readonly error: Error | null;
  /** The connection's error is heard by somebody, until the returned function is called. */
  hear(): () => void;
}
