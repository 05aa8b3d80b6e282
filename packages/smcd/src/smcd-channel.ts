// smcd-channel.ts - one connection of a link group: a ring of ours, a ring of the peer's, and a bit in each doorbell page.

import {
  type BusyPoll,
  CONN_STATE,
  type Channel,
  type ChannelCounters,
  type ChannelSink,
  RingConsumer,
  RingProducer,
} from '@smcjs/core/backend';
import type { Doorbell } from './doorbell.js';
import type { Hub } from './hub.js';
import type { Element } from './segment.js';

/** What a channel needs of its link group. */
export interface ChannelOwner {
  readonly hub: Hub;
  /** The channel's slot and element can be used again: both sides are done with them. */
  retire(channel: SmcdChannel): void;
}

export class SmcdChannel implements Channel {
  // First what every message needs, see RingProducer.
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  sink: ChannelSink | undefined;
  readonly #hub: Hub;
  readonly #doorbell: Doorbell;
  readonly #peerSlot: number;
  #asked = false;
  #closed = false;
  #turn = -1;
  #mark = 0;
  readonly counters: ChannelCounters = { doorbells: 0, notifications: 0 };
  readonly transport = 'smcd';
  readonly slot: number;
  readonly own: Element;
  readonly #owner: ChannelOwner;
  #busyPoll: BusyPoll = 'off';
  #lost = false;
  /** The memory may be gone. */
  #retired = false;
  readonly #deliverAgain = () => {
    this.#asked = false;
    this.#deliver();
  };

  constructor(owner: ChannelOwner, doorbell: Doorbell, own: Element, slot: number, peer: Element, peerSlot: number) {
    this.#owner = owner;
    this.#hub = owner.hub;
    this.#doorbell = doorbell;
    this.own = own;
    this.slot = slot;
    this.#peerSlot = peerSlot;
    this.rx = new RingConsumer(own.memory);
    this.tx = new RingProducer(peer.memory);
  }

  get turn(): number {
    return this.#hub.turn;
  }

  get hot(): boolean {
    return this.#hub.hot;
  }

  get immediates(): boolean {
    return this.#hub.immediates;
  }

  get closed(): boolean {
    return this.#closed;
  }

  notify(): void {
    this.counters.notifications++;
    const { turn } = this.#hub;
    // Only within a turn: looking whether the peer has taken our last token moves a cache line, which a token in answer to
    // news need not wait for.
    if (turn === this.#turn && this.#doorbell.pending(this.#mark)) return;
    this.#turn = turn;
    this.#hub.expectNews();
    const before = this.#doorbell.count;
    if (this.#doorbell.ring(this.#peerSlot)) this.counters.doorbells++;
    // Without a token of ours (overflow) there is none to wait for: the next news have to be told again.
    this.#mark = this.#doorbell.count > before ? this.#doorbell.count : 0;
  }

  again(): void {
    if (this.#asked) return;
    this.#asked = true;
    // The hub may have no peer left to turn for.
    if (this.#lost) setImmediate(this.#deliverAgain);
    else this.#hub.again(this.#deliverAgain);
  }

  setBusyPoll(mode: BusyPoll): void {
    if (this.#closed) return;
    this.#hub.countBusyPoll(this.#busyPoll, -1);
    this.#busyPoll = mode;
    this.#hub.countBusyPoll(mode, 1);
  }

  /** The peer has left a token of this connection. What was asked for {@link again} comes soon, and tells this too. */
  onToken(): void {
    if (!this.#asked) this.#deliver();
  }

  /** What a user's handler throws must not keep others from their news. */
  #deliver(): void {
    if (this.#closed) {
      this.#retireIfDone();
      return;
    }
    try {
      this.sink?.onNews();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** The peer's environment is gone, or the link group is `broken`. */
  lose(broken: boolean): void {
    this.#lost = true;
    this.#asked = false;
    if (this.#closed) this.#retireIfDone();
    else this.sink?.onPeerLost(broken);
  }

  close(): void {
    if (this.#closed) return;
    this.setBusyPoll('off');
    this.#closed = true;
    this.sink = undefined;
    this.#retireIfDone();
  }

  /** The peer may write our ring until it has said that it is closed; only then can another connection have it. */
  #retireIfDone(): void {
    // What was asked for with again() may come when the link group has ended and its memory is unmapped.
    if (this.#retired || !(this.#lost || (this.rx.state() & CONN_STATE.closed) !== 0)) return;
    this.#retired = true;
    this.#owner.retire(this);
  }
}
