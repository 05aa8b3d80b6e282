// dgram.ts - connected UDP sockets of node:dgram on the loopback address. What is under way is bounded, by acknowledgements
// now and then: less than the socket buffer holds, so that nothing is dropped.

import { createSocket, type Socket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Port, Transport } from './port.js';

const WINDOW = 128;
const ACKNOWLEDGE = 32;
/** An acknowledgement, and what the two sockets say to find each other; messages are longer. */
const SIGNAL = Buffer.alloc(1);

class DatagramPort extends EventEmitter implements Port {
  readonly retained = WINDOW * 64;
  readonly #socket: Socket;
  #credit = WINDOW;
  #taken = 0;
  #open = true;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('message', (message) => {
      if (message.length === SIGNAL.length) {
        const blocked = this.#credit <= 0;
        this.#credit += ACKNOWLEDGE;
        if (blocked) this.emit('drain');
        return;
      }
      if (++this.#taken === ACKNOWLEDGE) {
        this.#taken = 0;
        socket.send(SIGNAL);
      }
      this.emit('data', message);
    });
    socket.on('error', (error) => this.emit('error', error));
    socket.on('close', () => this.emit('close'));
  }

  write(chunk: Uint8Array): boolean {
    this.#socket.send(chunk);
    return --this.#credit > 0;
  }

  destroy(): void {
    if (this.#open) this.#socket.close();
    this.#open = false;
  }
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

async function connected(socket: Socket, port: number): Promise<Socket> {
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

export const dgramTransport: Transport = {
  async listen(_opening, onConnection) {
    const socket = await bound();
    let port: DatagramPort | undefined;
    // The client is known by what it says first.
    socket.once('message', async (_message, { port: client }) => {
      await connected(socket, client);
      port = new DatagramPort(socket);
      onConnection(port);
      socket.send(SIGNAL);
    });
    return { address: (socket.address() as AddressInfo).port, close: () => (port === undefined ? socket.close() : port.destroy()) };
  },
  async connect(_opening, address) {
    const socket = await connected(await bound(), Number(address));
    socket.send(SIGNAL);
    await once(socket, 'message');
    return new DatagramPort(socket);
  },
};
