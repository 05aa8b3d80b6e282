// watched-server.ts - a server of ours that notes what its connections say and how they end, for clients made of system calls.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type SmcOptions, type Socket } from '@smcjs/core';
import { expect } from 'vitest';
import { type SmcdEnvironment, smcdEnvironment } from '../dist/smcd-environment.js';
import { RawClient } from './raw-peer.js';

/** So patient that a loaded machine is never too slow. */
export const PATIENT: SmcOptions = { discoveryWait: 60_000, handshakeTimeout: 600_000 };
/** For clients that say nothing more. */
export const IMPATIENT: SmcOptions = { discoveryWait: 600, handshakeTimeout: 600 };

/** Other connections of this loop still work, over memory. */
export async function stillServes(): Promise<void> {
  const options = { transports: ['smcd'], fallback: 'error', ...PATIENT };
  const server = createServer(options as never, (socket) => socket.end('still here')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options } as never);
  const [text] = (await once(socket, 'data')) as [Buffer];
  expect([text.toString(), socket.transport]).toEqual(['still here', 'smcd']);
  await once(socket, 'close');
  server.close();
}

export class WatchedServer {
  readonly connections: Socket[] = [];
  /** What each connection has said, by its order, how it ended, and bytes read of it before it was a connection. */
  readonly seen: { text: string; events: string[]; readBefore: number }[] = [];
  readonly #server: Server;

  private constructor(options: SmcOptions) {
    const all = { transports: ['smcd', 'tcp'], ringSize: 65_536, allowHalfOpen: true, ...options };
    this.#server = createServer(all as never, (socket) => this.#watch(socket));
  }

  static async listen(options: SmcOptions = PATIENT): Promise<WatchedServer> {
    const server = new WatchedServer(options);
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

  #watch(socket: Socket): void {
    const entry = { text: '', events: [] as string[], readBefore: socket.bytesRead };
    this.connections.push(socket);
    this.seen.push(entry);
    socket.on('data', (bytes) => {
      entry.text += bytes.toString('latin1');
    });
    for (const name of ['end', 'close']) socket.on(name, () => entry.events.push(name));
    socket.on('error', (error: NodeJS.ErrnoException) => entry.events.push(String(error.code)));
  }
}
