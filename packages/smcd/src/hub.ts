// hub.ts - waiting, one per event loop: hands news to link groups and tells the native part how long to poll.

import { type BusyPoll, usableCores } from '@smcjs/core/backend';
import type { Addon, NativeHub } from './addon.js';

/** Words shared with native/src/hub.cc, which has the same list. */
const STATE = {
  turn: 0,
  activity: 1,
  mode: 2,
  windowMicros: 3,
  again: 4,
  sleeps: 5,
  wakes: 6,
  handshakes: 7,
  readyCount: 8,
  hot: 9,
  settled: 10,
  immediates: 11,
  ready: 16,
  taken: 128,
  length: 128 + 4096,
} as const;
const MODE = { off: 0, auto: 1, fixed: 2 } as const;

/**
 * Longest time the learned window may poll after the last activity, in microseconds: about four times what a sleep and
 * a wake-up cost (20-25 us each way on the measured machine); beyond it nothing improved but the CPU time spent.
 */
const AUTO_WINDOW_MICROS = 200;

export interface HubListener {
  /** There may be tokens in this listener's page. Returns how many have been taken by now, modulo 2^16. */
  onNews(): number;
}

export class Hub {
  readonly state = new Int32Array(STATE.length);
  readonly #native: NativeHub;
  readonly #listeners: (HubListener | undefined)[] = [];
  #again: (() => void)[] = [];
  /** Empty between dispatches; kept so that asking again allocates nothing. */
  #taken: (() => void)[] = [];
  #auto = 0;
  readonly #fixed = new Map<number, number>();
  readonly #oneCore = usableCores() < 2;

  constructor(addon: Addon) {
    this.#native = new addon.Hub(this.state, () => this.#dispatch());
  }

  get turn(): number {
    return this.state[STATE.turn] as number;
  }

  /** Is this loop polling, on a processor of its own? Known while news are dispatched. */
  get hot(): boolean {
    return this.state[STATE.hot] !== 0;
  }

  /** Has the loop something to do before it may block: immediates, or timers that are due? Known while news are dispatched. */
  get immediates(): boolean {
    return this.state[STATE.immediates] !== 0;
  }

  /** Sleeps of the loop, and how many of them news ended. */
  get sleeps(): number {
    return this.state[STATE.sleeps] as number;
  }

  /** Starts watching a doorbell page. Returns its index, or -errno. The pages stay mapped until detached. */
  attach(ownPage: ArrayBuffer, peerPage: ArrayBuffer, listener: HubListener): number {
    const index = this.#native.attach(ownPage, peerPage);
    if (index >= 0) {
      this.#listeners[index] = listener;
      this.state[STATE.taken + index] = 0;
    }
    return index;
  }

  detach(index: number): void {
    this.#native.detach(index);
    this.#listeners[index] = undefined;
  }

  /** Something was sent: an answer may come soon. A plain store. */
  expectNews(): void {
    this.state[STATE.activity] = 1;
  }

  /** A handshake that may poll begins (+1) or ends (-1). Each of its steps says {@link expectNews}. */
  countHandshake(mode: BusyPoll, change: 1 | -1): void {
    if (mode !== 'off' && !this.#oneCore) {
      (this.state[STATE.handshakes] as number) += change;
      if (change < 0) this.state[STATE.settled] = 1;
    }
    this.expectNews();
  }

  /** Calls `callback` from the next dispatch, without blocking before it. */
  again(callback: () => void): void {
    this.#again.push(callback);
    this.state[STATE.again] = 1;
  }

  /** A connection with this mode came (+1) or went (-1). The loop polls as the most eager of them wants. */
  countBusyPoll(mode: BusyPoll, change: 1 | -1): void {
    if (mode === 'auto') this.#auto += change;
    else if (mode !== 'off' && mode > 0) {
      const count = (this.#fixed.get(mode) ?? 0) + change;
      if (count > 0) this.#fixed.set(mode, count);
      else this.#fixed.delete(mode);
    }
    const longest = Math.max(0, ...this.#fixed.keys());
    const auto = this.#auto > 0 && !this.#oneCore;
    this.state[STATE.mode] = longest > 0 ? MODE.fixed : auto ? MODE.auto : MODE.off;
    this.state[STATE.windowMicros] = longest > 0 ? Math.max(longest, auto ? AUTO_WINDOW_MICROS : 0) : AUTO_WINDOW_MICROS;
  }

  #dispatch(): void {
    const state = this.state;
    // Taken first: what is asked for from here on comes in a dispatch of its own.
    const callbacks = this.#again;
    this.#again = this.#taken;
    const count = state[STATE.readyCount] as number;
    for (let i = 0; i < count; i++) {
      const index = state[STATE.ready + i] as number;
      const listener = this.#listeners[index];
      if (listener !== undefined) state[STATE.taken + index] = listener.onNews();
    }
    for (const callback of callbacks) callback();
    callbacks.length = 0;
    this.#taken = callbacks;
  }
}
