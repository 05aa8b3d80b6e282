// sockets.ts - two connected sockets in this process, for what works over any connection.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type TransportName } from '@smcjs/core';
import type { FrameConnection } from '@smcjs/core/channel';
import { onTestFinished } from 'vitest';

/** Two connected ends in this process. */
export async function sockets(transport: TransportName): Promise<[FrameConnection, FrameConnection]> {
  const options = { transports: [transport], fallback: 'error' as const, ringSize: 16_384 };
  const server = createServer(options);
  const accepted = new Promise<FrameConnection>((resolve) =>
    server.once('connection', (socket) => {
      // Before the stream reads what comes first.
      (socket as FrameConnection).ring?.peek(0);
      resolve(socket as FrameConnection);
    }),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const client = connect({ ...options, port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => void client.once('connect', resolve).once('error', reject));
  const pair: [FrameConnection, FrameConnection] = [client, await accepted];
  server.close();
  for (const end of pair) {
    end.on('error', () => {});
    onTestFinished(() => void end.destroy());
  }
  return pair;
}
