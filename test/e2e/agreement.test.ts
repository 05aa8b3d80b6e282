// agreement.test.ts - when the two ends run out of patience in the middle of their handshake they still agree: both on
// the ring or both on TCP, and every byte written before, meanwhile and after arrives once.

import type { Socket } from 'node:net';
import { connect, createServer, type Server, type Socket as SmcSocket, type TransportName } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { collect, errorOf, event } from '../support/events.js';
import { Peer } from '../support/peer.js';
import { payload, Random } from '../support/random.js';

const TRANSPORTS: readonly TransportName[] = ['smcd', 'tcp'];

interface Patience {
  readonly client: { readonly discoveryWait: number; readonly handshakeTimeout: number };
  readonly server: { readonly discoveryWait: number; readonly handshakeTimeout: number };
}

const IMPATIENT: readonly Patience[] = [
  { client: { discoveryWait: 0, handshakeTimeout: 60_000 }, server: { discoveryWait: 60_000, handshakeTimeout: 60_000 } },
  { client: { discoveryWait: 1, handshakeTimeout: 60_000 }, server: { discoveryWait: 60_000, handshakeTimeout: 60_000 } },
  { client: { discoveryWait: 60_000, handshakeTimeout: 1 }, server: { discoveryWait: 60_000, handshakeTimeout: 60_000 } },
  { client: { discoveryWait: 60_000, handshakeTimeout: 60_000 }, server: { discoveryWait: 0, handshakeTimeout: 60_000 } },
  { client: { discoveryWait: 60_000, handshakeTimeout: 60_000 }, server: { discoveryWait: 60_000, handshakeTimeout: 1 } },
  { client: { discoveryWait: 1, handshakeTimeout: 1 }, server: { discoveryWait: 1, handshakeTimeout: 1 } },
  { client: { discoveryWait: 2, handshakeTimeout: 2 }, server: { discoveryWait: 2, handshakeTimeout: 2 } },
];

/** Keeps the loop from turning now and then, for a time of the order of the time-outs. */
function disturb(random: Random): () => void {
  let over = false;
  const next = (): void => {
    if (over) return;
    for (const until = performance.now() + random.integer(0, 3); performance.now() < until; );
    setTimeout(next, random.integer(0, 2));
  };
  next();
  return () => {
    over = true;
  };
}

/** Who has no patience, or whose server has none, may also get no connection at all, but only with these codes. */
const codesOfGivingUp = ({ client, server }: Patience): string[] => [
  ...(client.handshakeTimeout < 60_000 ? ['ETIMEDOUT'] : []),
  ...(server.handshakeTimeout < 60_000 ? ['ECONNRESET'] : []),
];

/** One connection: its transport at the client and at the server. Undefined when the client gave up. */
async function round(
  server: Server,
  port: number,
  patience: Patience,
  i: number,
): Promise<[string | undefined, string | undefined] | undefined> {
  const atServer = new Promise<string | undefined>((resolve) => {
    const onConnection = (socket: SmcSocket): void => {
      if (socket.remotePort !== client.localPort && client.localPort !== undefined) return;
      server.off('connection', onConnection);
      resolve(socket.transport);
    };
    server.on('connection', onConnection);
  });
  const client = connect({ port, host: '127.0.0.1', transports: TRANSPORTS, ...patience.client, allowHalfOpen: true });
  onTestFinished(() => void client.destroy());
  client.write(payload(i, 100), () => {});
  const receiving = collect(client as Socket);
  const failing = errorOf(client);
  const failed = await Promise.race([failing, event(client, 'connect').then(() => undefined)]);
  if (failed !== undefined) {
    expect(codesOfGivingUp(patience)).toContain(failed.code);
    return undefined;
  }
  const { transport } = client;
  client.end(payload(i, 5000, 100));
  expect((await receiving).equals(payload(i, 5100))).toBe(true);
  return [transport, await atServer];
}

describe('two ends without patience', () => {
  for (const patience of IMPATIENT) {
    const { client, server } = patience;
    const name = `client waits ${client.discoveryWait} and ${client.handshakeTimeout} ms, server ${server.discoveryWait} and ${server.handshakeTimeout} ms`;

    it(`agree in one loop that stalls: ${name}`, async () => {
      const listener = createServer({ transports: TRANSPORTS, ...server, allowHalfOpen: true }, (socket) =>
        socket.on('error', () => {}).pipe(socket),
      );
      onTestFinished(() => void listener.close());
      listener.listen(0, '127.0.0.1');
      await event(listener, 'listening');
      const { port } = listener.address() as { port: number };
      const calm = disturb(new Random(client.discoveryWait * 7 + server.handshakeTimeout));
      for (let i = 0; i < 40; i++) {
        const agreed = await round(listener, port, patience, i);
        if (agreed !== undefined) expect(agreed[1]).toBe(agreed[0]);
      }
      calm();
    });

    it(`agree between two processes: ${name}`, async () => {
      const start = (role: 'client' | 'server', options: object, port: number): Peer =>
        new Peer('exchanger', {
          side: { module: '@smcjs/core', options: { transports: TRANSPORTS, ...options } },
          role,
          first: 'client',
          length: 3000,
          connections: 60,
          port,
        } satisfies ExchangerArgs);
      const serving = start('server', server, 0);
      const dialing = start('client', client, (await serving.message('listening')).port as number);
      expect(await dialing.exit, dialing.errors).toEqual({ code: 0, signal: null });
      serving.send({});
      expect(await serving.exit, serving.errors).toEqual({ code: 0, signal: null });
      const failed = await dialing.messages('failed');
      for (const { code } of failed) expect(codesOfGivingUp(patience)).toContain(code);
      const atClient = await dialing.messages('exchanged');
      expect(atClient.length + failed.length).toBe(60);
      const atServer = new Map((await serving.messages('exchanged')).map((report) => [report.clientPort, report]));
      for (const { clientPort, transport, received, failure } of atClient) {
        // A server that gave up before it had a connection for its user resets the client, which may be connected by then.
        if (failure === 'ECONNRESET' && server.handshakeTimeout < 60_000) {
          expect({ received, atServer: atServer.get(clientPort) }).toEqual({ received: 0, atServer: undefined });
          continue;
        }
        expect({ received, failure }).toEqual({ received: 3000, failure: undefined });
        expect(atServer.get(clientPort)).toMatchObject({ transport, received: 3000 });
      }
    });
  }
});
