// smc-stream.ts - one of our sockets as a test uses it that talks to a program on the kernel's SMC (kernel/smc_agent.py): promises, and
// streams that belong to a seed.

import type { Socket } from '@smcjs/core';
import { pattern, PatternCheck } from './smcr/pattern.js';

const CHUNK = 1 << 18;

export class SmcStream {
  readonly socket: Socket;
  bytesRead = 0;
  /** The socket has emitted 'close'. */
  readonly closed: Promise<void>;
  #error: Error | undefined;
  #ended = false;
  readonly #waiting = new Set<() => void>();

  /** The socket is read by nobody else, and by this not before it is asked to. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on('error', (error: Error) => {
      this.#error ??= error;
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        this.#wake();
        resolve();
      }),
    );
  }

  /** It was reset, or its transport failed. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Resolves when the bytes have left the stream. @throws Error of the socket */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error: Error | null | undefined) => (error ? reject(this.#error ?? error) : resolve()));
    });
  }

  /** What there is, at least a byte; undefined at the end. @throws Error of the socket */
  async read(most = CHUNK): Promise<Buffer | undefined> {
    this.#listen();
    for (;;) {
      const { readableLength } = this.socket;
      const chunk = readableLength > 0 ? (this.socket.read(Math.min(most, readableLength)) as Buffer | null) : null;
      if (chunk !== null) {
        this.bytesRead += chunk.length;
        return chunk;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended || this.socket.destroyed) return undefined;
      // Reads what is in the ring, or asks to be told.
      this.socket.read(0);
      if (this.socket.readableLength === 0) await this.#news();
    }
  }

  /** Waits until it is so. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  #listen(): void {
    if (this.socket.listenerCount('readable') === 0) this.socket.on('readable', () => this.#wake());
  }

  /** Half close, when everything is written. */
  shutdown(): void {
    this.socket.end();
  }

  /** As close(2): abnormal with unread bytes. */
  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  // What kernel/smc_agent.py does, too.

  async send(bytes: number, seed = 0, start = 0): Promise<void> {
    for (let at = start; at < start + bytes; at += CHUNK) await this.write(pattern(seed, at, Math.min(CHUNK, start + bytes - at)));
  }

  /** @throws Error for a wrong byte, or an early end. */
  async receive(bytes: number, seed = 0, start = 0): Promise<void> {
    const check = new PatternCheck(seed, start);
    while (check.received < start + bytes) {
      const chunk = await this.read(start + bytes - check.received);
      if (chunk === undefined) throw new Error(`the end came after ${check.received} bytes`);
      check.take(chunk);
    }
  }

  async exchange(bytes: number, seed: number, theirs: number): Promise<void> {
    await Promise.all([this.send(bytes, seed), this.receive(bytes, theirs)]);
  }

  async echo(): Promise<void> {
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) await this.write(chunk);
  }

  async rounds(sizes: readonly number[], count: number): Promise<void> {
    for (const size of sizes) {
      for (let i = 0; i < count; i++) {
        await this.write(pattern(i % 256, 0, size));
        await this.receive(size, i % 256);
      }
    }
  }
}
