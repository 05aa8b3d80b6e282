// named-channel.ts - a connection between two processes over a named segment: the Channel that a stream and a ring surface use.
//
// As between threads (worker/bell.ts), without the bell: who has news counts them in the ring it writes, and the other looks.

import type { BusyPoll } from '../options.js';
import { RingConsumer } from '../ring/consumer.js';
import { WORD } from '../ring/layout.js';
import { RingProducer } from '../ring/producer.js';
import { load, store } from '../ring/words.js';
import type { ChannelCounters, ChannelSink } from '../transport/channel.js';
import type { EndChannel } from '../worker/ring-end.js';
import { type NamedMember, theNamedHub } from './named-hub.js';
import type { NamedSegment } from './named-segment.js';

export class NamedChannel implements EndChannel, NamedMember {
  readonly transport = 'memory';
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  /** Nobody is woken here: `doorbells` stays 0. */
  readonly counters: ChannelCounters = { doorbells: 0, notifications: 0 };
  sink: ChannelSink | undefined;
  ref = true;
  busyPoll: BusyPoll;
  readonly pollInterval: number;
  onLost: (() => void) | undefined;
  /** The other process has attached. Called once. */
  onAttached: (() => void) | undefined;
  /** The segment is not what it was. The owner closes. */
  onBroken: ((error: Error) => void) | undefined;
  readonly segment: NamedSegment;

  readonly #hub = theNamedHub();
  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  #told = 0;
  #seen = 0;
  #open = true;
  #attached: boolean;
  #lost = false;

  constructor(segment: NamedSegment, busyPoll: BusyPoll, pollInterval: number) {
    const { role, rings } = segment;
    const own = role === 'creator' ? rings.toCreator : rings.toAttacher;
    const peer = role === 'creator' ? rings.toAttacher : rings.toCreator;
    this.segment = segment;
    this.rx = new RingConsumer(own);
    this.tx = new RingProducer(peer);
    this.#own = own.words;
    this.#peer = peer.words;
    this.#attached = role === 'attacher';
    this.busyPoll = busyPoll;
    this.pollInterval = pollInterval;
    this.#hub.add(this);
  }

  get turn(): number {
    return this.#hub.turn;
  }

  get hot(): boolean {
    return this.#hub.hot;
  }

  notify(): void {
    this.counters.notifications++;
    this.#told = (this.#told + 1) | 0;
    store(this.#peer, WORD.news, this.#told);
    if (this.#open) this.#hub.expect();
  }

  again(): void {
    if (this.#open) this.#hub.again(this);
  }

  setBusyPoll(mode: BusyPoll): void {
    this.busyPoll = mode;
    if (this.#open) this.#hub.changed();
  }

  setRef(ref: boolean): void {
    this.ref = ref;
    if (this.#open) this.#hub.changed();
  }

  fresh(): boolean {
    return load(this.#own, WORD.news) !== this.#seen;
  }

  dispatch(): void {
    this.#seen = load(this.#own, WORD.news);
    this.sink?.onNews();
  }

  watch(now: number): void {
    const verdict = this.segment.watch(now);
    if (!this.#attached && this.segment.peer !== undefined) {
      this.#attached = true;
      this.onAttached?.();
    }
    if (!this.#open || this.#lost || verdict === undefined) return;
    this.#lost = true;
    if (verdict === 'gone') this.onLost?.();
    else this.onBroken?.(verdict);
  }

  /** Nothing is handed out any more; the memory goes when whoever is at work with it now has returned. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.sink = undefined;
    this.#hub.remove(this);
    setImmediate(() => this.segment.unmap());
  }
}
