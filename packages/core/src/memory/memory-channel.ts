// memory-channel.ts - a connection within one event loop: its doorbell is an immediate.

import type { RingMemory } from '../ring/layout.js';
import { RingConsumer } from '../ring/consumer.js';
import { RingProducer } from '../ring/producer.js';
import type { Channel, ChannelCounters, ChannelSink } from '../transport/channel.js';

export class MemoryChannel implements Channel {
  readonly transport = 'memory';
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  readonly counters: ChannelCounters = { doorbells: 0, notifications: 0 };
  sink: ChannelSink | undefined;
  turn = 0;
  readonly hot = false;

  readonly #wakePeer: () => void;
  #news = false;
  readonly #deliver = () => {
    this.#news = false;
    this.turn++;
    this.sink?.onNews();
  };

  constructor(own: RingMemory, peer: RingMemory, wakePeer: () => void) {
    this.rx = new RingConsumer(own);
    this.tx = new RingProducer(peer);
    this.#wakePeer = wakePeer;
  }

  notify(): void {
    this.counters.notifications++;
    this.#wakePeer();
  }

  /** News from the peer, or a request for another turn. Keeps the loop alive only as the sockets do. */
  wake(): void {
    if (this.#news) return;
    this.#news = true;
    this.counters.doorbells++;
    setImmediate(this.#deliver);
  }

  again(): void {
    this.wake();
  }

  /** There is nothing to poll: both ends run in the same loop. */
  setBusyPoll(): void {}

  close(): void {
    this.sink = undefined;
  }
}
