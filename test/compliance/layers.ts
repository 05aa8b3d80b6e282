// layers.ts - what Node itself builds on a socket: tls and http2. A pre-shared key stands in for certificates.

import http2 from 'node:http2';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collect, event, record, take } from '../support/events.js';
import { payload } from '../support/random.js';
import { accept, dial, listening, open, type TransportCase } from './transport-case.js';

const KEY = Buffer.alloc(16, 7);
const PSK = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;

interface Secured {
  readonly client: tls.TLSSocket;
  readonly server: tls.TLSSocket;
}

async function secure(client: Socket, accepted: Socket): Promise<Secured> {
  const context = tls.createSecureContext(PSK);
  const secured = {
    server: new tls.TLSSocket(accepted, {
      ...PSK,
      isServer: true,
      secureContext: context,
      pskCallback: (_socket: tls.TLSSocket, _identity: string) => KEY,
    } as tls.TLSSocketOptions),
    client: tls.connect({
      ...PSK,
      socket: client,
      pskCallback: () => ({ psk: KEY, identity: 'me' }),
      checkServerIdentity: () => undefined,
    }),
  };
  await Promise.all([event(secured.client, 'secureConnect'), event(secured.server, 'secure')]);
  return secured;
}

export function layers(t: TransportCase): void {
  describe('tls', () => {
    it('runs over a connected socket', async () => {
      const { client, accepted } = await open(t);
      const secured = await secure(client, accepted);
      const sent = payload(1, 1_000_000);
      secured.server.pipe(secured.server);
      secured.client.write(sent);
      expect((await take(secured.client, sent.length)).equals(sent)).toBe(true);
    });

    it('answers a client that has ended its side already', async () => {
      const { client, accepted } = await open(t);
      const secured = await secure(client, accepted);
      const sent = payload(2, 1_000_000);
      secured.server.pipe(secured.server);
      const receiving = collect(secured.client);
      secured.client.end(sent);
      const received = await receiving;
      expect([received.length, received.equals(sent)]).toEqual([sent.length, true]);
    });

    it('runs over a socket that is still connecting', async () => {
      const { server, port } = await listening(t);
      const accepting = accept(server);
      const client = dial(t, port);
      const securing = tls.connect({
        ...PSK,
        socket: client,
        pskCallback: () => ({ psk: KEY, identity: 'me' }),
        checkServerIdentity: () => undefined,
      });
      const connected = event(securing, 'secureConnect');
      const serverSide = new tls.TLSSocket(await accepting, {
        ...PSK,
        isServer: true,
        secureContext: tls.createSecureContext(PSK),
        pskCallback: () => KEY,
      } as tls.TLSSocketOptions);
      await connected;
      serverSide.end('secret');
      expect((await collect(securing)).toString()).toBe('secret');
    });

    it("serves by the 'connection' event of a tls server", async () => {
      const { server, port } = await listening(t);
      const secureServer = tls.createServer({ ...PSK, pskCallback: () => KEY }, (socket) => socket.end('served'));
      server.on('connection', (socket) => secureServer.emit('connection', socket));
      const client = tls.connect({
        ...PSK,
        socket: dial(t, port),
        pskCallback: () => ({ psk: KEY, identity: 'me' }),
        checkServerIdentity: () => undefined,
      });
      expect((await collect(client)).toString()).toBe('served');
    });

    it('passes the close on', async () => {
      const { client, accepted } = await open(t);
      const secured = await secure(client, accepted);
      const seen = [record(client), record(accepted)];
      const closed = [client, accepted, secured.client, secured.server].map((socket) => event(socket, 'close'));
      secured.server.resume();
      secured.client.resume();
      secured.client.end('bye');
      await Promise.all(closed);
      for (const events of seen) expect(events.at(-1)).toBe('close false');
    });
  });

  describe('http2', () => {
    it('carries many streams over one connection', async () => {
      const { server, port } = await listening(t);
      const sessions = http2.createServer();
      sessions.on('stream', (stream) => {
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
      });
      server.on('connection', (socket) => sessions.emit('connection', socket));
      const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => dial(t, port) });
      onTestFinished(() => void session.destroy());
      const echoed = await Promise.all(
        Array.from({ length: 10 }, async (_, i) => {
          const stream = session.request({ ':method': 'POST', ':path': `/${i}` });
          stream.end(payload(i, 100_000));
          return (await collect(stream)).equals(payload(i, 100_000));
        }),
      );
      expect(echoed).toEqual(echoed.map(() => true));
      await new Promise<void>((resolve) => session.close(resolve));
    });

    it('notices when the connection goes away', async () => {
      const { server, port } = await listening(t);
      const sessions = http2.createServer();
      sessions.on('sessionError', () => {});
      server.on('connection', (socket) => sessions.emit('connection', socket));
      const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => dial(t, port) });
      session.on('error', () => {});
      const [accepted] = (await event(server, 'connection')) as [Socket];
      await event(session, 'remoteSettings');
      const closed = event(session, 'close');
      accepted.destroy();
      await closed;
      expect(session.destroyed).toBe(true);
    });
  });
}
