// watched-server.ts - a server of ours that notes what its connections say and how they end, for clients made of system calls.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type SmcOptions, type Socket } from '@smcjs/core';
import { expect } from 'vitest';
import { type SmcdEnvironment, smcdEnvironment } from '../dist/smcd-environment.js';
import { RawClient } from './raw-peer.js';
import { until } from './support.js';

/** Short waits: what is silent here stays silent. */
const OPTIONS: SmcOptions = { transports: ['smcd', 'tcp'], discoveryWait: 250, handshakeTimeout: 250, ringSize: 65_536 };

export class WatchedServer {
  readonly connections: Socket[] = [];
  /** What each connection has said, by its order, and how it ended. */
  readonly seen: { text: string; events: string[] }[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer({ ...OPTIONS, allowHalfOpen: true } as never, (socket) => this.#watch(socket));
  }

  static async listen(): Promise<WatchedServer> {
    const server = new WatchedServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.connections) socket.destroy();
    this.#server.close();
  }

  /** A client made of system calls that the server has dialled. */
  dialled(): Promise<RawClient> {
    return RawClient.dialled(smcdEnvironment() as SmcdEnvironment, this.port);
  }

  /** The one connection there has been. */
  only(): Socket {
    expect(this.connections).toHaveLength(1);
    return this.connections[0] as Socket;
  }

  /** Our own client still gets through, over memory. */
  async stillServes(): Promise<void> {
    const before = this.connections.length;
    const socket = connect({ port: this.port, host: '127.0.0.1', transports: ['smcd'], fallback: 'error' } as never);
    await once(socket, 'connect');
    expect(socket.transport).toBe('smcd');
    socket.end('still here');
    await until(() => this.seen[before]?.text === 'still here');
    socket.destroy();
  }

  #watch(socket: Socket): void {
    const entry = { text: '', events: [] as string[] };
    this.connections.push(socket);
    this.seen.push(entry);
    socket.on('data', (bytes) => {
      entry.text += bytes.toString('latin1');
    });
    for (const name of ['end', 'close']) socket.on(name, () => entry.events.push(name));
    socket.on('error', (error: NodeJS.ErrnoException) => entry.events.push(String(error.code)));
  }
}
