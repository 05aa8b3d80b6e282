// clc-socket.ts - CLC messages over a TCP connection.

import type { Socket } from 'node:net';
import { CLC_OS, type ClcMessage, ClcReader, encode } from '@smcjs/core/backend';

export class ClcSocket {
  readonly tcp: Socket;
  readonly #reader = new ClcReader();
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #onData = (bytes: Buffer): void => {
    this.#reader.push(bytes);
    this.#wake?.();
  };
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  constructor(tcp: Socket) {
    this.tcp = tcp;
    tcp
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('close', this.#onEnd)
      .on('error', () => {});
  }

  send(message: ClcMessage): void {
    this.tcp.write(encode(message));
  }

  /** @throws Error when TCP ends instead. */
  async next(): Promise<ClcMessage> {
    for (;;) {
      const message = this.#reader.next();
      if (message !== undefined) return message;
      if (this.#ended) throw new Error('TCP ended instead of a CLC message');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  decline(peerId: Uint8Array, diagnosis: number, outOfSync = false): void {
    this.send({ type: 'decline', path: 'smcr', version: 2, peerId, diagnosis, outOfSync, os: CLC_OS.linux });
  }

  /** No CLC follows any more: the bytes that came behind it go back. */
  release(): Socket {
    const { tcp } = this;
    tcp.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    const rest = this.#reader.rest();
    tcp.pause();
    if (rest.length > 0) tcp.unshift(rest);
    return tcp;
  }
}
