// bell.ts - how one thread tells another of news, and learns that it is gone.
//
//   who tells    has stored a producer cursor, or stores `news`, a count, in the ring it writes; then looks at `sleeping` of the
//                thread that reads it; only if that is set, swaps it to 0 and wakes: by a message to a thread in its event
//                loop, by the word itself to a thread in Atomics.wait on it
//   who sleeps   stores `sleeping`, then looks at both again, then sleeps
//
// Bytes need no count beside their cursor: each of the two stores would fetch the line from who looks at it all the time.
//
// Store, then look, on both sides, sequentially consistent: no news is slept through (test/model/bell).
// A message to a MessagePort wakes a loop as quickly as Atomics.waitAsync does, has ref and unref, and its 'close' is the
// death notice that shared memory cannot give.

import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { WORD } from '../ring/layout.js';
import { exchange, load, store, wake, wait } from '../ring/words.js';

/** Where the thread that reads a ring is. */
const AWAKE = 0;
const IN_LOOP = 1;
const BLOCKED = 2;

export class Bell {
  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  readonly #port: MessagePort;
  #told = 0;
  #seen = 0;
  #seenCursor = 0;

  /** `own` and `peer`: header words of the ring we read, and of the ring we write. */
  constructor(own: Int32Array, peer: Int32Array, port: MessagePort) {
    this.#own = own;
    this.#peer = peer;
    this.#port = port;
  }

  /**
   * There is something to see; `published`: nothing but the producer cursor, which was stored just now. Returns true when the
   * peer slept and was woken. Allocates nothing unless it did.
   */
  tell(published = false): boolean {
    if (!published) {
      this.#told = (this.#told + 1) | 0;
      store(this.#peer, WORD.news, this.#told);
    }
    // pairs with sleep() and block(): they store `sleeping`, then look at cursor and `news`
    if (load(this.#peer, WORD.sleeping) === AWAKE) return false;
    const where = exchange(this.#peer, WORD.sleeping, AWAKE);
    if (where === BLOCKED) wake(this.#peer, WORD.sleeping);
    else if (where === IN_LOOP) this.#port.postMessage(0);
    return where !== AWAKE;
  }

  /** Has the peer told of news since {@link take}? Two loads of one line. */
  fresh(): boolean {
    return load(this.#own, WORD.producerCursor) !== this.#seenCursor || load(this.#own, WORD.news) !== this.#seen;
  }

  /** What was told until now is about to be looked at. */
  take(): void {
    this.#seen = load(this.#own, WORD.news);
    this.#seenCursor = load(this.#own, WORD.producerCursor);
  }

  /** This loop is going to sleep: false when there are news after all, and it must not. */
  sleep(): boolean {
    store(this.#own, WORD.sleeping, IN_LOOP);
    if (!this.fresh()) return true;
    this.awake();
    return false;
  }

  /** This loop looks by itself again: the peer need not ring. */
  awake(): void {
    store(this.#own, WORD.sleeping, AWAKE);
  }

  /** Blocks this thread until there are news, at most `ms` milliseconds. False when there were none. */
  block(ms: number): boolean {
    store(this.#own, WORD.sleeping, BLOCKED);
    // Not until `news` changes: who told of what we have seen already may be about to take `sleeping` back, and would not
    // wake us for what comes next.
    const told = this.fresh() || wait(this.#own, WORD.sleeping, BLOCKED, ms);
    store(this.#own, WORD.sleeping, AWAKE);
    return told;
  }

  /**
   * Is the other end of the port still there? Says so without an event loop, which 'close' needs: a port whose other end is
   * gone closes when it is read. Takes bells that nobody has heard; not to be asked once the port has listeners.
   */
  peerThere(): boolean {
    // Node 20 to 26 crash when a port that was posted elsewhere in this turn is read: so asked before, too.
    if (!isOpen(this.#port)) return false;
    while (receiveMessageOnPort(this.#port) !== undefined);
    return isOpen(this.#port);
  }
}

let channel: MessageChannel | undefined;
let looked = false;
/** A message that cannot be sent: it is looked at only once what is to be transferred with it has been accepted. */
const PROBE = {
  get probe(): never {
    looked = true;
    throw PROBE;
  },
};

/** Is this port neither closed nor posted elsewhere? One that is cannot be in a transfer list. It is not transferred. */
function isOpen(port: MessagePort): boolean {
  channel ??= new MessageChannel();
  looked = false;
  try {
    channel.port1.postMessage(PROBE, [port]);
  } catch (error) {
    if (error !== PROBE && looked) throw error;
  }
  return looked;
}
