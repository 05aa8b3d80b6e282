// net-frames.ts - frames of one size over TCP by node:net, received straight into the memory they are read in (`onread`),
// without which half as many come through. Only a socket that connects takes that option: so who receives dials back.

import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { anyAddress, connected, listening, target } from './net.js';
import type { Port, Transport } from './port.js';

/** Events: 'data' with what comes to the end that sends frames; 'close', 'error'. */
export class AssembledPort extends EventEmitter implements Port {
  readonly #socket: net.Socket;
  /** Called with each frame that has come. */
  onFrame: (view: Float32Array) => void = () => {};

  constructor(socket: net.Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk) => this.emit('data', chunk));
    socket.on('error', (error) => this.emit('error', error));
    socket.on('close', () => this.emit('close'));
  }

  send(bytes: Uint8Array, written: () => void): void {
    this.#socket.write(bytes, written);
  }

  write(chunk: Uint8Array): boolean {
    return this.#socket.write(chunk);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** A connection to who sends frames of so many bytes. */
async function receiving(from: number, bytes: number): Promise<AssembledPort> {
  const memory = new Uint8Array(bytes);
  const frame = new Float32Array(memory.buffer);
  let got = 0;
  let port: AssembledPort | undefined;
  const socket = net.connect({
    host: '127.0.0.1',
    port: from,
    noDelay: true,
    onread: {
      buffer: () => memory.subarray(got),
      callback(length) {
        got += length;
        if (got === bytes) {
          got = 0;
          port?.onFrame(frame);
        }
        return true;
      },
    },
  });
  await connected(socket);
  port = new AssembledPort(socket);
  return port;
}

export const netFramesTransport: Transport = {
  async listen({ bytes }, onConnection) {
    const server = net.createServer((socket) => {
      socket.once('data', async (text) => {
        onConnection(await receiving(Number(text), bytes));
        socket.end('ready');
      });
    });
    const address = await listening(server, anyAddress(false));
    return { address, close: () => server.close() };
  },
  async connect(_opening, address) {
    const server = net.createServer({ noDelay: true });
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    const back = await listening(server, anyAddress(false));
    const introduction = await connected(net.connect(target(address)));
    introduction.write(String(back));
    const [[socket]] = await Promise.all([accepted, once(introduction, 'data')]);
    introduction.destroy();
    server.close();
    return new AssembledPort(socket);
  },
};
