// exchanger.ts - one end of an exchange, as client or as server: both sides send a known stream and digest what they get.

import { createHash } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { payload, Random } from '../support/random.js';
import { args, commands, declinesOf, load, report, type SideArgs, transportOf } from './lib.js';

export interface ExchangerArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  /** Which side sends first; the other one sends when the first byte arrived. */
  readonly first: 'client' | 'server';
  /** Bytes each connection sends in this direction. */
  readonly length: number;
  readonly connections: number;
  /** Where the client goes, or where the server listens. */
  readonly port: number;
}

/** The stream a side sends belongs to its role and the client's port, which both sides know. */
function seedOf(role: 'client' | 'server', clientPort: number): number {
  return clientPort * 2 + (role === 'server' ? 1 : 0);
}

const { side, role, first, length, connections, port } = args<ExchangerArgs>();

async function sendAll(socket: Socket, seed: number): Promise<void> {
  let offset = 0;
  for (const size of new Random(seed).lengths(length, 90_000)) {
    if (!socket.write(payload(seed, size, offset))) await new Promise((resolve) => socket.once('drain', resolve));
    offset += size;
  }
  socket.end();
}

async function exchange(socket: Socket, clientPort: number): Promise<void> {
  const digest = createHash('sha256');
  let received = 0;
  let sending = false;
  const send = (): void => {
    if (!sending) void sendAll(socket, seedOf(role, clientPort));
    sending = true;
  };
  socket.on('data', (chunk) => {
    digest.update(chunk);
    received += chunk.length;
    send();
  });
  // A peer that ends without a word is answered all the same: it may still be reading.
  socket.on('end', send);
  const failure: { code?: string | undefined } = {};
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure.code = error.code;
  });
  const transport = transportOf(socket);
  if (role === first) send();
  await new Promise((resolve) => socket.once('close', resolve));
  report('exchanged', {
    clientPort,
    received,
    sha256: digest.digest('hex'),
    transport,
    failure: failure.code,
    declines: declinesOf(socket),
  });
}

if (role === 'server') {
  const server = (await load(side)).createServer({ ...side.options, allowHalfOpen: true });
  const exchanges: Promise<void>[] = [];
  server.on('connection', (socket) => {
    report('connection', { transport: transportOf(socket) });
    exchanges.push(exchange(socket, socket.remotePort as number));
    if (exchanges.length === connections) server.close();
  });
  server.listen(port, '127.0.0.1', () => report('listening', { port: (server.address() as AddressInfo).port }));
  const done = commands(() => server.close());
  await new Promise((resolve) => server.once('close', resolve));
  await Promise.all(exchanges);
  done();
} else {
  const { connect } = await load(side);
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ ...side.options, port, host: '127.0.0.1', allowHalfOpen: true });
      const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        socket.once('connect', () => resolve(undefined)).once('error', resolve);
      });
      if (failure === undefined) await exchange(socket, socket.localPort as number);
      else report('failed', { code: failure.code });
    }),
  );
}
