// write-notices.ts - who is called back when a write has ended, and hears of that by an immediate, hears of it before anything that came
// from the peer since. Over a native handle that follows from the order in which a turn of the loop does things. A ring has the peer's
// answer at any moment, also while the loop is between the two.
//
// What wraps a socket without handle for TLS is such a one (JSStreamSocket of Node): it takes an answer that comes sooner for one to a
// write that is still under way. A node:https server then stopped its parser for a client that seemed not to read, and gave the connection
// up for the bytes that were decrypted with the same call (HPE_PAUSED; with two processes on busy processors one connection in some 100).

import type { Channel } from '../transport/channel.js';

/** Who writes and writes must read, too: so many immediates, then what came is told. A write of TLS ends in two or three. */
const MOST_WAITS = 8;

export class WriteNotices {
  readonly #channel: Channel;
  /** Of writes since the last time that nothing waited for them. */
  #ended = 0;
  /** When the last one did. */
  #turn = -1;
  #waiting = false;
  #waits = 0;

  #closed = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** A write was called back. */
  ended(): void {
    this.#ended++;
    this.#turn = this.#channel.turn;
  }

  close(): void {
    this.#closed = true;
  }

  /** May be told what came? If not, the channel is asked for another look as soon as it may. */
  get clear(): boolean {
    if (this.#ended === 0) return true;
    if (this.#waiting) return false;
    const { turn, immediates = true } = this.#channel;
    // What was asked for in an earlier turn has run, or is still among them.
    const over = this.#turn !== turn && !immediates;
    if (over || this.#waits === MOST_WAITS) {
      this.#ended = this.#waits = 0;
      return true;
    }
    this.#waiting = true;
    this.#waits++;
    const before = this.#ended;
    setImmediate(() => {
      this.#waiting = false;
      if (this.#ended === before) this.#ended = this.#waits = 0;
      if (!this.#closed) this.#channel.again();
    });
    return false;
  }
}
