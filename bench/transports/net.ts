// net.ts - node:net over TCP loopback and over a Unix socket.

import net from 'node:net';
import { join } from 'node:path';
import { noDelayOf } from '../lanes.js';
import { runDirectory } from '../pair/control.js';
import type { Address, Transport } from './port.js';

let sockets = 0;

/** What to listen on: any free port of the loopback address, or a new path. */
export const anyAddress = (path: boolean): net.ListenOptions =>
  path ? { path: join(runDirectory(), `${process.pid}-${++sockets}.sock`) } : { host: '127.0.0.1', port: 0 };

/** Resolves when the server listens, with its path or port. */
export function listening(server: net.Server, on: net.ListenOptions): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(on, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'string' ? address : (address as net.AddressInfo).port);
    });
  });
}

/** How to reach it. */
export const target = (address: Address): net.NetConnectOpts =>
  typeof address === 'string' ? { path: address } : { host: '127.0.0.1', port: address };

/** Resolves at 'connect'. */
export function connected<S extends net.Socket>(socket: S): Promise<S> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

export const netTransport: Transport = {
  async listen({ lane }, onConnection) {
    const server = net.createServer({ noDelay: noDelayOf(lane) }, onConnection);
    const address = await listening(server, anyAddress(lane.transport === 'uds'));
    return { address, close: () => server.close() };
  },
  connect: ({ lane }, address) => connected(net.connect({ ...target(address), noDelay: noDelayOf(lane) } as net.NetConnectOpts)),
};
