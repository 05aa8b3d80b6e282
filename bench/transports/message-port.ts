// message-port.ts - MessageChannel between two threads, as a careful program uses it: what is under way is bounded, by
// acknowledgements now and then, for a port itself takes any number of messages.

import { EventEmitter } from 'node:events';
import { MessageChannel, type MessagePort, type TransferListItem } from 'node:worker_threads';
import type { Opening } from '../lanes.js';
import type { Port, Transport } from './port.js';
import { give, given } from './thread-link.js';

/** Messages under way at most, and after how many the receiver says so. */
const WINDOW = 1024;
const ACKNOWLEDGE = 256;
/** Messages of 64 bytes packed into one. */
const PACKED = 64;

/** Events: 'data' with each message, 'drain', 'close'. */
export class PostingPort extends EventEmitter implements Port {
  readonly retained = 0; // a message is copied when it is posted
  readonly #port: MessagePort;
  readonly #packed: boolean;
  /** A clone takes the whole ArrayBuffer along: hence one of the size of a message, used again for each. */
  readonly #message: Uint8Array;
  readonly #window: number;
  readonly #acknowledge: number;
  #used = 0;
  #flushing = false;
  #credit: number;
  #taken = 0;
  #open = true;

  constructor(port: MessagePort, { lane, bytes }: Opening) {
    super();
    this.#port = port;
    this.#packed = lane.mode === 'packed';
    this.#message = new Uint8Array(this.#packed ? PACKED * bytes : bytes);
    this.#window = this.#packed ? WINDOW / PACKED : WINDOW;
    this.#acknowledge = this.#packed ? ACKNOWLEDGE / PACKED : ACKNOWLEDGE;
    this.#credit = this.#window;
    port.on('message', (message: unknown) => {
      if (typeof message === 'number') return this.#onCredit(message);
      if (++this.#taken === this.#acknowledge) {
        this.#taken = 0;
        port.postMessage(this.#acknowledge);
      }
      this.emit('data', message);
    });
    port.on('close', () => this.emit('close'));
  }

  write(chunk: Uint8Array): boolean {
    this.#message.set(chunk, this.#used);
    if (this.#packed) {
      this.#used += chunk.length;
      if (this.#used === this.#message.length) this.#flush();
      else if (!this.#flushing) {
        this.#flushing = true;
        setImmediate(this.#flush);
      }
    } else this.#post(this.#message);
    return this.#credit > 0;
  }

  /** A message that is not acknowledged here. */
  post(message: unknown, transfer: TransferListItem[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  destroy(): void {
    this.#open = false;
    this.#port.close();
  }

  #post(message: Uint8Array): void {
    this.#credit--;
    this.#port.postMessage(message);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    if (this.#used > 0 && this.#open) this.#post(this.#used < this.#message.length ? this.#message.slice(0, this.#used) : this.#message);
    this.#used = 0;
  };

  #onCredit(credit: number): void {
    const blocked = this.#credit <= 0;
    this.#credit += credit;
    if (blocked && this.#credit > 0) this.emit('drain');
  }
}

export const messagePortTransport: Transport = {
  async listen(opening, onConnection) {
    const { port1, port2 } = new MessageChannel();
    give(port2, [port2]);
    onConnection(new PostingPort(port1, opening));
    return { address: 'thread', close: () => undefined };
  },
  connect: async (opening) => new PostingPort(given<MessagePort>(), opening),
};
