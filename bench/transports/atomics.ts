// atomics.ts - shared memory and Atomics.waitAsync, without any library.

import { EventEmitter } from 'node:events';
import type { Port, Transport } from './port.js';
import { give, given } from './thread-link.js';

/** Memory of both threads, and which of the two this one is. */
export class SharedPort extends EventEmitter implements Port {
  readonly memory: SharedArrayBuffer;
  readonly side: 0 | 1;

  constructor(memory: SharedArrayBuffer, side: 0 | 1) {
    super();
    this.memory = memory;
    this.side = side;
  }

  write(): boolean {
    throw new TypeError('shared memory is no stream');
  }

  destroy(): void {
    this.emit('close');
  }
}

export const atomicsTransport: Transport = {
  async listen(_opening, onConnection) {
    const memory = new SharedArrayBuffer(4096);
    give(memory);
    onConnection(new SharedPort(memory, 1));
    return { address: 'thread', close: () => undefined };
  },
  connect: async () => new SharedPort(given<SharedArrayBuffer>(), 0),
};
