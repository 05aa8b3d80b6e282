// blocking-link.ts - a pair of rings for a thread that blocks: waiting, ending and noticing the peer's end.

import type { MessagePort } from 'node:worker_threads';
import { usableCores } from '../cores.js';
import { SmcError, systemError } from '../errors.js';
import type { BusyPoll } from '../options.js';
import { RingConsumer } from '../ring/consumer.js';
import { CONN_STATE } from '../ring/layout.js';
import { RingProducer } from '../ring/producer.js';
import type { ChannelCounters } from '../transport/channel.js';
import { Bell } from './bell.js';
import { atExit } from './exit.js';
import { PollWindow } from './poll-window.js';
import type { ClaimedPort } from './port.js';

/** How long a thread that waits sleeps before it looks whether the peer's thread is still there: at first, at most. */
const PATIENCE_MS = 100;
const MAX_PATIENCE_MS = 1000;
/** Looks, 5 ns each, between two looks at the clock. */
const LOOKS = 64;

const micros = () => performance.now() * 1000;

export class BlockingLink {
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  readonly counters: ChannelCounters = { doorbells: 0, notifications: 0 };
  readonly #bell: Bell;
  readonly #port: MessagePort;
  readonly #window: PollWindow;
  /** Never sleeps while it waits. */
  readonly exclusive: boolean;
  readonly #forget: () => void;
  #open = true;
  #finished = false;
  /** The peer's thread or end is gone. */
  #lost = false;
  #checked = 0;
  #patience = PATIENCE_MS;

  /** `exclusive`: asked for; with one usable processor the peer could not run while we look, and it is not done. */
  constructor({ rx, tx, bell }: ClaimedPort, busyPoll: BusyPoll, exclusive: boolean) {
    this.rx = new RingConsumer(rx);
    this.tx = new RingProducer(tx);
    this.#port = bell;
    this.#bell = new Bell(rx.words, tx.words, bell);
    const cores = usableCores();
    this.exclusive = exclusive && cores > 1;
    this.#window = PollWindow.of(busyPoll, cores);
    this.#forget = atExit(() => this.close(false));
  }

  get open(): boolean {
    return this.#open;
  }

  /** Can bytes be sent? */
  get sendable(): boolean {
    return this.#open && !this.#finished && (this.#peerState() & CONN_STATE.closed) === 0;
  }

  get receivable(): boolean {
    return this.#open;
  }

  /** Will nothing more come, and was everything read? */
  get ended(): boolean {
    // The state before the cursor: after its state, the peer's last bytes are visible.
    return !this.#open || ((this.#peerState() & (CONN_STATE.sendingDone | CONN_STATE.closed)) !== 0 && this.rx.available() === 0);
  }

  /** Publishes what was written, and tells the peer. */
  sent(): void {
    this.tx.publish();
    this.#tell(true);
  }

  /** Gives back what was advanced over. */
  taken(): void {
    if (this.rx.publish()) this.#tell();
  }

  violation(what: string): never {
    this.close(true);
    throw new SmcError('ERR_SMC_PEER_VIOLATION', `the peer wrote an impossible ${what}`);
  }

  /** Throws when the producer's or consumer's word of the peer was impossible. */
  checkWords(): void {
    if (!this.#open) return;
    if (this.tx.violated) this.violation('consumer cursor');
    if (this.rx.violated) this.violation('producer cursor');
  }

  /** Nothing was there to read: throws when that is a reset. */
  checkEnd(): void {
    this.checkWords();
    if (!this.#open) return;
    const state = this.rx.state();
    const sudden = this.#lost && (state & (CONN_STATE.closed | CONN_STATE.sendingDone)) === 0;
    if ((!sudden && (state & CONN_STATE.abnormal) === 0) || this.rx.available() > 0) return;
    this.close(true);
    throw systemError('ECONNRESET', 'read');
  }

  /** One look, without waiting: is there anything to be told, bytes, an end or a violation? Two loads when there is not. */
  look(): boolean {
    const { rx } = this;
    if (!this.#open || rx.known > 0) return true;
    if (this.#bell.fresh()) {
      this.#bell.take();
      if (rx.available() > 0 || rx.violated) return true;
    }
    return (this.#peerState() & (CONN_STATE.sendingDone | CONN_STATE.closed)) !== 0;
  }

  /** Looks, now and then, whether the peer's thread is there; true when it was found to be gone, once. */
  lookForPeer(): boolean {
    return this.#open && this.#checkPeer();
  }

  /** Waits for bytes to read, at most `timeout` milliseconds. */
  waitForBytes(timeout: number): boolean {
    const begin = performance.now();
    this.#window.active(begin * 1000);
    for (;;) {
      this.#bell.take();
      if (this.#open && this.rx.available() > 0) return true;
      this.checkWords();
      if (this.ended) {
        this.checkEnd();
        return false;
      }
      if (!this.#pause(begin + timeout)) return false;
    }
  }

  /** Waits for `room` bytes to write, at most `timeout` milliseconds. */
  waitForRoom(room: number, timeout: number): boolean {
    const begin = performance.now();
    this.#window.active(begin * 1000);
    try {
      for (;;) {
        this.#bell.take();
        if (!this.sendable) return false;
        if (this.tx.space(room) >= room) return true;
        // Asks to be told of room, then looks again: pairs with RingConsumer.publish.
        this.tx.setWriteBlocked(true);
        if (this.tx.space(room) >= room) return true;
        this.checkWords();
        if (!this.#pause(begin + timeout)) return false;
      }
    } finally {
      this.tx.setWriteBlocked(false);
    }
  }

  /** No more bytes follow those sent. */
  finish(): void {
    if (!this.#open || this.#finished) return;
    this.#finished = true;
    this.tx.publish();
    this.tx.setState(CONN_STATE.sendingDone);
    this.#tell();
  }

  /** With unread bytes, or when `abnormal`, the peer sees a reset, as on a socket. Idempotent. */
  close(abnormal: boolean): void {
    if (!this.#open) return;
    const peerClosed = (this.#peerState() & CONN_STATE.closed) !== 0;
    const unread = !peerClosed && this.rx.available() > 0;
    this.tx.publish();
    this.#open = false;
    this.rx.closed = true;
    this.#forget();
    this.tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (abnormal || unread ? CONN_STATE.abnormal : 0));
    this.#bell.tell();
    this.#port.close();
  }

  #peerState(): number {
    return this.#lost ? CONN_STATE.closed | this.rx.state() : this.rx.state();
  }

  #tell(published = false): void {
    this.counters.notifications++;
    if (this.#bell.tell(published)) this.counters.doorbells++;
  }

  /** Polls, then blocks, until something may have changed; false when the time is over. */
  #pause(deadline: number): boolean {
    if (this.exclusive) return this.#spin(deadline);
    if (this.#poll()) return true;
    const left = deadline - performance.now();
    // Who asks again and again without waiting learns of the peer's death, too.
    if (!(left > 0)) return this.#lost ? false : this.#checkPeer();
    if (this.#bell.block(Math.min(left, this.#patience))) {
      this.#patience = PATIENCE_MS;
      this.#window.woken(micros());
    } else {
      this.#patience = Math.min(2 * this.#patience, MAX_PATIENCE_MS);
      this.#checkPeer();
    }
    return true;
  }

  /** Looks for news until there are, or the peer is gone; false when the time is over. */
  #spin(deadline: number): boolean {
    for (let looks = 1; ; looks++) {
      if (this.#bell.fresh()) return true;
      if (looks % LOOKS !== 0) continue;
      if (this.#checkPeer()) return true;
      if (performance.now() >= deadline) return false;
    }
  }

  /** Looks for news while that is worth it; true when there are. */
  #poll(): boolean {
    for (let looks = 1; ; looks++) {
      if (this.#bell.fresh()) return true;
      if (looks % LOOKS !== 0) continue;
      const now = micros();
      if (this.#window.open(now)) continue;
      if (looks > LOOKS) this.#window.slept(now);
      return false;
    }
  }

  /** Looks now and then whether the peer's thread is there; true when it was just found to be gone. */
  #checkPeer(): boolean {
    const now = performance.now();
    if (this.#lost || now - this.#checked < PATIENCE_MS) return false;
    this.#checked = now;
    this.#lost = !this.#bell.peerThere();
    return this.#lost;
  }
}
