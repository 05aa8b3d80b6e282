// hub.ts - one per event loop: brings news of connections to their owners when the driver is done, and decides between polling the
// completion queues and sleeping until their channels wake the loop.
//
// News are collected while completions are handled and handed out behind it; what anything else brings, in a tick when promises have
// settled. So what programs do then, and throw, is never in the middle of the driver's work, and who awaits one event after the other
// misses none. Polling is some looks per turn of the loop, so timers and other sockets have theirs.

import { performance } from 'node:perf_hooks';
import { type BusyPoll, PollWindow, usableCores } from '@smcjs/core/backend';
import type { GroupDriver } from '../driver/index.js';

/** What the hub calls; never from within what it calls itself. */
export interface Listener {
  deliver(): void;
}

/** A connection that is closed here and has bytes the peer has no room for yet. */
export interface Lingerer {
  readonly lingers: boolean;
}

/** Between two looks whether what lingers is sent, milliseconds. */
const LINGER = 5;

/**
 * A turn of the loop costs about as much as some looks, and what comes meanwhile waits: with 8 looks a round trip in the guest took a
 * tenth longer than with 32; 128 are no better. Of all queues together.
 */
const LOOKS_PER_TURN = 32;

const RESOLVED = Promise.resolve();

const micros = (): number => performance.now() * 1000;

export class Hub {
  /** Changes with each turn of the loop in which something was sent, and each dispatch. */
  turn = 0;
  readonly #window = new PollWindow();
  readonly #drivers = new Set<GroupDriver>();
  readonly #cores = usableCores();
  readonly #fixed = new Map<number, number>();
  readonly #lingering = new Set<Lingerer>();
  #auto = 0;
  #news: Listener[] = [];
  #asked: Listener[] = [];
  #scheduled = false;
  /** Completions are being handled: {@link tell} need not schedule anything. */
  #gathering = false;
  #dispatching = false;
  #turning = false;
  #polling = false;
  /** Something was sent since the last look, which knows the time. */
  #active = false;
  #linger: NodeJS.Timeout | undefined;
  readonly #dispatch = (): void => {
    this.#scheduled = false;
    this.turn++;
    const news = this.#news;
    this.#news = [];
    this.#dispatching = true;
    for (const listener of news) listener.deliver();
    this.#dispatching = false;
    this.turn++;
  };
  readonly #dispatchLater = (): void => process.nextTick(this.#dispatch);
  readonly #nextTurn = (): void => {
    this.#turning = false;
    this.turn++;
    const asked = this.#asked;
    this.#asked = [];
    for (const listener of asked) listener.deliver();
  };
  readonly #round = (): void => this.#look();

  add(driver: GroupDriver): void {
    this.#drivers.add(driver);
    if (this.#polling) driver.completions.stayAwake();
  }

  delete(driver: GroupDriver): void {
    this.#drivers.delete(driver);
  }

  /** The listener has news; it asks once until it is told. */
  tell(listener: Listener): void {
    this.#news.push(listener);
    if (this.#scheduled || this.#gathering) return;
    this.#scheduled = true;
    // In the same callback of the loop something may have been handed out already: ticks would come before its promises.
    void RESOLVED.then(this.#dispatchLater);
  }

  /** Tells the listener in the next turn of the loop. */
  again(listener: Listener): void {
    this.#asked.push(listener);
    this.#turn();
  }

  /** Something was sent: an answer may come soon. */
  sent(): void {
    // A dispatch is a turn of its own: no need to see the loop's, which costs a round of it.
    if (!this.#dispatching) this.#turn();
    if (this.#window.micros === 0) return;
    this.#active = true;
    this.#poll();
  }

  /** A completion channel has woken the loop: what completed is handled now. */
  waking(): void {
    this.#gathering = true;
  }

  /** It has been. */
  woken(): void {
    // Before programs have their say: how long they take does not count.
    this.#window.woken(micros());
    this.#handOut();
    if (this.#window.micros > 0) this.#poll();
  }

  /** A connection with this mode came (+1) or went (-1). The loop polls as the most eager of them wants. */
  countBusyPoll(mode: BusyPoll, change: 1 | -1): void {
    if (mode === 'auto') this.#auto += change;
    else if (mode !== 'off' && mode > 0) {
      const count = (this.#fixed.get(mode) ?? 0) + change;
      if (count > 0) this.#fixed.set(mode, count);
      else this.#fixed.delete(mode);
    }
    this.#window.setMode(Math.max(0, ...this.#fixed.keys()), this.#auto > 0 && this.#cores >= 2);
  }

  /** Keeps the loop alive until everything of this closed connection is on its way, as a kernel does for TCP. */
  linger(lingerer: Lingerer): void {
    this.#lingering.add(lingerer);
    this.#linger ??= setInterval(() => {
      for (const one of this.#lingering) if (!one.lingers) this.#lingering.delete(one);
      if (this.#lingering.size > 0) return;
      clearInterval(this.#linger);
      this.#linger = undefined;
    }, LINGER);
  }

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#nextTurn);
  }

  #poll(): void {
    if (this.#polling) return;
    this.#polling = true;
    for (const driver of this.#drivers) driver.completions.stayAwake();
    setImmediate(this.#round);
  }

  /** A tick costs a quarter of what lies between a message and its answer. */
  #handOut(): void {
    this.#gathering = false;
    if (this.#news.length > 0 && !this.#scheduled) this.#dispatch();
  }

  #look(): void {
    let handled = 0;
    this.#gathering = true;
    try {
      for (let looks = LOOKS_PER_TURN; handled === 0 && looks > 0; ) {
        let queues = 0;
        for (const { completions } of this.#drivers) {
          handled += completions.look();
          queues += completions.queues;
        }
        looks -= Math.max(1, queues);
      }
    } finally {
      this.#handOut();
    }
    const now = micros();
    if (handled > 0 || this.#active) this.#window.active(now);
    this.#active = false;
    if (this.#drivers.size > 0 && this.#window.open(now)) {
      setImmediate(this.#round);
      return;
    }
    this.#window.slept(now);
    this.#polling = false;
    for (const driver of this.#drivers) driver.completions.sleep();
  }
}
