// zeromq.ts - zeromq PAIR sockets over ipc://, when the optional package is installed.

import { EventEmitter } from 'node:events';
import { MeasureError } from '../errors.js';
import { anyAddress } from './net.js';
import type { Port, Transport } from './port.js';

/** As much of the package as is used here; its own types are absent when the package is. */
interface PairSocket extends AsyncIterable<Uint8Array[]> {
  linger: number;
  sendHighWaterMark: number;
  receiveHighWaterMark: number;
  bind(address: string): Promise<void>;
  connect(address: string): void;
  send(message: Uint8Array): Promise<void>;
  close(): void;
}

const QUEUE = 64;

async function newPair(): Promise<PairSocket> {
  const name: string = 'zeromq';
  try {
    const { Pair } = (await import(name)) as { Pair: new () => PairSocket };
    return new Pair();
  } catch (error) {
    throw new MeasureError('unavailable', `the optional package zeromq cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
  }
}

class ZeromqPort extends EventEmitter implements Port {
  readonly retained: number;
  readonly #socket: PairSocket;
  readonly #queue: Uint8Array[] = [];
  #sending = false;
  #closed = false;

  constructor(socket: PairSocket, bytes: number) {
    super();
    // As many messages as zeromq allows by default, but no more than 8 MiB of them.
    const messages = Math.max(4, Math.min(1000, (8 << 20) / bytes));
    socket.linger = 0;
    socket.sendHighWaterMark = messages;
    socket.receiveHighWaterMark = messages;
    this.#socket = socket;
    this.retained = (2 * messages + QUEUE) * bytes; // sent without a copy, read later by zeromq's own thread
  }

  async receive(): Promise<void> {
    try {
      for await (const [message] of this.#socket) this.emit('data', message);
    } catch (error) {
      if (!this.#closed) this.emit('error', error);
    }
  }

  write(chunk: Uint8Array): boolean {
    this.#queue.push(chunk);
    if (!this.#sending) void this.#send();
    return this.#queue.length < QUEUE;
  }

  /** One send at a time is all that zeromq allows. */
  async #send(): Promise<void> {
    this.#sending = true;
    try {
      for (let i = 0; i < this.#queue.length; i++) await this.#socket.send(this.#queue[i] as Uint8Array);
      const blocked = this.#queue.length >= QUEUE;
      this.#queue.length = 0;
      this.#sending = false;
      if (blocked) this.emit('drain');
    } catch (error) {
      if (!this.#closed) this.emit('error', error);
    }
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.emit('close');
  }
}

export const zeromqTransport: Transport = {
  async listen({ bytes }, onConnection) {
    const socket = await newPair();
    const port = new ZeromqPort(socket, bytes);
    const address = `ipc://${anyAddress(true).path}`;
    await socket.bind(address);
    onConnection(port);
    void port.receive();
    return { address, close: () => port.destroy() };
  },
  async connect({ bytes }, address) {
    const socket = await newPair();
    const port = new ZeromqPort(socket, bytes);
    socket.connect(String(address));
    void port.receive();
    return port;
  },
};
