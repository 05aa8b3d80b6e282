// states.ts - connecting, pending and readyState through the life of a socket, and the order of its first events.

import { ADDRCONFIG } from 'node:dns';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, turns, until } from '../support/events.js';
import { dial, listening, open, transportOf, type TransportCase } from './transport-case.js';

export function states(t: TransportCase): void {
  describe('states', () => {
    it('passes for what node:net makes', async () => {
      const net = await import('node:net');
      const { client, accepted, server } = await open(t);
      expect([client, accepted].map((socket) => socket instanceof net.Socket)).toEqual([true, true]);
      expect(client).toBeInstanceOf(t.client.api.Socket);
      expect(accepted).toBeInstanceOf(t.server.api.Socket);
      expect(server).toBeInstanceOf(net.Server);
      expect(server).toBeInstanceOf(t.server.api.Server);
    });

    it('goes from opening to open to closed', async () => {
      const { port } = await listening(t);
      const socket = new t.client.api.Socket({ ...t.client.options });
      expect([socket.connecting, socket.pending, socket.readyState]).toEqual([false, true, 'open']);
      socket.connect({ port, host: '127.0.0.1' });
      expect([socket.connecting, socket.pending, socket.readyState]).toEqual([true, true, 'opening']);
      expect(transportOf(socket)).toBe(undefined);
      await event(socket, 'connect');
      expect([socket.connecting, socket.pending, socket.readyState]).toEqual([false, false, 'open']);
      expect(transportOf(socket)).toBe(t.client.transport);
      socket.destroy();
      expect([socket.connecting, socket.pending, socket.readyState]).toEqual([false, true, 'closed']);
    });

    it('stays connected when connect() is called again, whatever the address', async () => {
      const { client, accepted, server } = await open(t);
      const other = await listening(t);
      let others = 0;
      other.server.on('connection', () => others++);
      const seen = record(client, ['connect', 'ready', 'end', 'close']);
      client.connect({ port: other.port, host: '127.0.0.1' }, () => seen.push('listener'));
      expect([client.connecting, client.pending, client.readyState]).toEqual([true, true, 'opening']);
      client.end('x');
      expect((await collect(accepted)).toString()).toBe('x');
      accepted.end();
      client.resume();
      await event(client, 'close');
      expect(seen).toEqual(['connect', 'listener', 'ready', 'end', 'close false']);
      expect(others).toBe(0);
      await new Promise((resolve) => server.close(resolve));
    });

    it('refuses connect() while it connects', async () => {
      const { port, server } = await listening(t);
      server.on('connection', (socket) => socket.on('error', () => {}));
      const client = dial(t, port);
      client.connect({ port, host: '127.0.0.1' });
      const error = await errorOf(client);
      expect(error).toMatchObject({ code: 'EALREADY', syscall: 'connect', address: '127.0.0.1', port });
      expect([client.connecting, client.destroyed]).toEqual([false, true]);
    });

    it('tells nobody of a connect that is over', async () => {
      const { client, accepted } = await open(t);
      let told = 0;
      for (const socket of [client, accepted]) socket.once('connect', () => told++).on('connect', () => told++);
      await turns(20);
      expect(told).toBe(0);
    });

    it('shows which half is open', async () => {
      const halfOpen = { allowHalfOpen: true };
      const { client, accepted } = await open(t, { client: halfOpen, server: halfOpen });
      client.end();
      expect(client.readyState).toBe('readOnly');
      accepted.resume();
      await event(accepted, 'end');
      expect(accepted.readyState).toBe('writeOnly');
      accepted.end();
      client.resume();
      await event(client, 'close');
      expect(client.readyState).toBe('closed');
    });

    it("emits 'connect', then 'ready', and calls the listener given to connect()", async () => {
      const { port } = await listening(t);
      const seen: string[] = [];
      const client = t.client.api.connect({ port, host: '127.0.0.1', ...t.client.options }, () => seen.push('listener'));
      client.on('connect', () => seen.push('connect')).on('ready', () => seen.push('ready'));
      await event(client, 'ready');
      expect(seen).toEqual(['listener', 'connect', 'ready']);
      client.destroy();
    });

    it("emits 'lookup' for a name, with what it resolved to", async () => {
      const { port } = await listening(t);
      const client = dial(t, port, { host: 'localhost', family: 4 });
      const [error, address, family, host] = await event(client, 'lookup');
      expect([error, address, family, host]).toEqual([null, '127.0.0.1', 4, 'localhost']);
      await event(client, 'connect');
    });

    it('uses the lookup it is given', async () => {
      const { port } = await listening(t);
      const asked: string[] = [];
      const client = dial(t, port, {
        host: 'somewhere.invalid',
        lookup: (host, options, callback) => {
          asked.push(host);
          expect([options.family, options.hints]).toEqual([undefined, ADDRCONFIG]);
          if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
          else callback(null, '127.0.0.1', 4);
        },
      });
      await event(client, 'connect');
      expect(asked).toEqual(['somewhere.invalid']);
      expect([client.remoteAddress, client.remotePort]).toEqual(['127.0.0.1', port]);
      expect(transportOf(client)).toBe(t.client.transport);
    });

    it('fails like node:net when a name cannot be resolved', async () => {
      const failure = Object.assign(new Error('no such host'), { code: 'ENOTFOUND' });
      const client = dial(t, 1, { host: 'somewhere.invalid', lookup: (_host, _options, callback) => callback(failure, '') });
      const seen = record(client, ['connect', 'error', 'close']);
      await event(client, 'close');
      expect(seen).toEqual(['error ENOTFOUND', 'close true']);
    });

    it('tries the addresses of a name one after the other', async () => {
      const { port } = await listening(t);
      const client = dial(t, port, {
        host: 'two.invalid',
        autoSelectFamily: true,
        lookup: (_host, _options, callback) =>
          callback(null, [
            { address: '::1', family: 6 },
            { address: '127.0.0.1', family: 4 },
          ]),
      });
      await event(client, 'connect');
      expect(client.remoteAddress).toBe('127.0.0.1');
      expect(client.autoSelectFamilyAttemptedAddresses).toEqual([`::1:${port}`, `127.0.0.1:${port}`]);
      expect(transportOf(client)).toBe(t.client.transport);
    });

    it('fails with ECONNREFUSED where nobody listens', async () => {
      const { server, port } = await listening(t);
      await new Promise((resolve) => server.close(resolve));
      const client = dial(t, port, { fallback: 'tcp' });
      const closing = event(client, 'close');
      const error = await errorOf(client);
      expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
      expect(typeof error.errno).toBe('number');
      expect(await closing).toEqual([true]);
      expect([client.destroyed, client.readyState]).toEqual([true, 'closed']);
    });

    it('tells the transport once, before anything else', async () => {
      const { port } = await listening(t);
      const client = dial(t, port);
      const seen: unknown[] = [];
      client.on('transport', (name: unknown) => seen.push(name));
      client.on('connect', () => seen.push('connect'));
      await event(client, 'ready');
      expect(seen).toEqual(t.client.transport === undefined ? ['connect'] : [t.client.transport, 'connect']);
    });

    it('connects from an address and port of the caller', async () => {
      const { server, port } = await listening(t, { fallback: 'tcp' });
      const { server: other, port: free } = await listening(t);
      await new Promise((resolve) => other.close(resolve));
      const accepting = event(server, 'connection');
      const client = dial(t, port, { localAddress: '127.0.0.1', localPort: free, fallback: 'tcp' });
      await event(client, 'connect');
      expect([client.localAddress, client.localPort]).toEqual(['127.0.0.1', free]);
      const [accepted] = (await accepting) as [Socket];
      expect([accepted.remoteAddress, accepted.remotePort]).toEqual(['127.0.0.1', free]);
      accepted.end('found you');
      expect((await collect(client)).toString()).toBe('found you');
    });

    it('carries bytes right from the connect listener and the connection listener', async () => {
      const { server, port } = await listening(t);
      let atServer = '';
      server.on('connection', (socket) => {
        socket.write('from server');
        socket.on('data', (chunk) => (atServer += chunk));
      });
      let atClient = '';
      const client = dial(t, port).on('data', (chunk) => (atClient += chunk));
      client.on('connect', () => client.write('from client'));
      await until(() => atServer === 'from client' && atClient === 'from server');
    });
  });
}
