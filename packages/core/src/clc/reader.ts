// reader.ts - finds CLC messages in the byte stream of a TCP connection, where payload may follow the last one directly.

import { decode } from './codec.js';
import { readHeader, startsLikeClc } from './header.js';
import type { ClcMessage } from './messages.js';

/**
 * Takes bytes as they arrive and gives messages.
 *
 * Call `next()` only while a message is expected: what follows the last one is payload, and is had by `rest()`. Keeps
 * copies of the bytes pushed and not yet taken, nothing else. Whoever pushes no more than it expects needs never hold
 * more than one message of CLC_MAX_LENGTH, because a stream that cannot become one fails by then.
 */
export class ClcReader {
  #pending: Buffer = Buffer.alloc(0);

  /** Appends a copy of `bytes`. */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pending = Buffer.concat([this.#pending, bytes]);
  }

  /**
   * Takes the next message; undefined while it is not whole.
   *
   * @throws SmcError `ERR_SMC_CLC` as soon as the bytes cannot begin a message, and on every call after. They stay
   * available through `rest()`.
   */
  next(): ClcMessage | undefined {
    const header = readHeader(this.#pending);
    if (header === undefined || this.#pending.length < header.length) return undefined;
    const message = decode(this.#pending.subarray(0, header.length));
    this.#pending = Buffer.from(this.#pending.subarray(header.length));
    return message;
  }

  /** Do the bytes that are held begin a CLC message? */
  startsLikeClc(): 'yes' | 'no' | 'more' {
    return startsLikeClc(this.#pending);
  }

  /** Bytes that are held. */
  get length(): number {
    return this.#pending.length;
  }

  /** Takes everything that follows the messages taken. The reader is empty then. */
  rest(): Buffer {
    const rest = this.#pending;
    this.#pending = Buffer.alloc(0);
    return rest;
  }
}
