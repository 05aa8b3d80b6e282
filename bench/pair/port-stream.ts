// port-stream.ts - a MessagePort as a stream of text, so that threads are told what to do as processes are.

import { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';

export class PortStream extends Duplex {
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    super();
    this.#port = port;
    port.on('message', (text: string) => this.push(text));
    port.on('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#port.postMessage(String(chunk));
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#port.close();
    done(error);
  }
}
