// addressing.ts - the addresses of a connection are those of its TCP connection, whatever carries the bytes.

import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collect, event } from '../support/events.js';
import { accept, createServer, dial, listen, listening, open, transportOf, type TransportCase } from './transport-case.js';

export function addressing(t: TransportCase): void {
  describe('addresses', () => {
    it('agree between the two sides', async () => {
      const { client, accepted, server } = await open(t);
      const { port } = server.address() as AddressInfo;
      expect([client.remoteAddress, client.remotePort, client.remoteFamily]).toEqual(['127.0.0.1', port, 'IPv4']);
      expect([accepted.localAddress, accepted.localPort, accepted.localFamily]).toEqual(['127.0.0.1', port, 'IPv4']);
      expect([accepted.remoteAddress, accepted.remotePort]).toEqual([client.localAddress, client.localPort]);
      expect(client.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port: client.localPort });
      expect(accepted.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
    });

    it('are unknown before connecting', () => {
      const socket = new t.client.api.Socket({ ...t.client.options });
      expect([socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
      expect(socket.address()).toEqual({});
      socket.destroy();
    });

    it('are gone after destroy(), but a peer that was asked for before may still be told', async () => {
      const { client, accepted } = await open(t);
      const before = [client.remotePort, accepted.remotePort];
      accepted.resume();
      const closed = [event(client, 'close'), event(accepted, 'close')];
      client.destroy();
      await Promise.all(closed);
      for (const [i, socket] of [client, accepted].entries()) {
        expect([socket.localAddress, socket.localPort]).toEqual([undefined, undefined]);
        expect(socket.address()).toEqual({});
        expect([undefined, before[i]]).toContain(socket.remotePort);
      }
    });

    it('are those of IPv6 over IPv6', async () => {
      const server = createServer(t);
      const port = await listen(server, '::1');
      const accepting = accept(server);
      const client = dial(t, port, { host: '::1' });
      await event(client, 'connect');
      const accepted = await accepting;
      expect([client.remoteAddress, client.remoteFamily, accepted.remoteAddress]).toEqual(['::1', 'IPv6', '::1']);
      expect([transportOf(client), transportOf(accepted)]).toEqual([t.client.transport, t.server.transport]);
      client.end('six');
      expect((await collect(accepted)).toString()).toBe('six');
    });

    for (const [host, via] of [
      ['::', '::1'],
      ['::', '127.0.0.1'],
      ['0.0.0.0', '127.0.0.1'],
      ['0.0.0.0', '127.0.0.2'],
    ] as const) {
      it(`reach a server that listens on ${host} by ${via}`, async () => {
        const server = createServer(t);
        const port = await listen(server, host);
        const accepting = accept(server);
        const client = dial(t, port, { host: via });
        await event(client, 'connect');
        const accepted = await accepting;
        expect([transportOf(client), transportOf(accepted)]).toEqual([t.client.transport, t.server.transport]);
        const seenAs = host === '::' && via !== '::1' ? `::ffff:${via}` : via;
        expect([client.remoteAddress, accepted.localAddress]).toEqual([via, seenAs]);
        client.end('here');
        expect((await collect(accepted)).toString()).toBe('here');
      });
    }

    it('tell the server where it listens', async () => {
      const { server, port } = await listening(t);
      expect(server.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
      await new Promise((resolve) => server.close(resolve));
      expect(server.address()).toBe(null);
    });

    it('may be paths, which always use the operating system', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'smc-path-'));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      const path = join(directory, 'socket');
      const server = createServer(t, { fallback: 'tcp' });
      server.listen(path);
      await event(server, 'listening');
      expect(server.address()).toBe(path);
      const accepting = accept(server);
      const client = t.client.api.connect({ path, ...t.client.options, fallback: 'tcp' });
      onTestFinished(() => void client.destroy());
      await event(client, 'connect');
      const accepted = await accepting;
      if (t.client.transport !== undefined) expect(transportOf(client)).toBe('tcp');
      expect(client.remoteAddress).toBe(undefined);
      accepted.end('by path');
      expect((await collect(client)).toString()).toBe('by path');
    });
  });
}
