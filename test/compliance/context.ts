// context.ts - the asynchronous context of listeners and callbacks, and the diagnostics channels of node:net.
//
// Several connections share one doorbell; what one of them carries must not run in the context of another.

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { event, until } from '../support/events.js';
import { accept, createServer, dial, listen, listening, open, type TransportCase } from './transport-case.js';

const storage = new AsyncLocalStorage<string>();

/** Notes in which context each of these events is emitted, the first time. */
function contexts(socket: Socket, names: readonly string[]): Record<string, string | undefined> {
  const seen: Record<string, string | undefined> = {};
  for (const name of names) socket.once(name, () => (seen[name] = storage.getStore()));
  return seen;
}

export function context(t: TransportCase): void {
  describe('the asynchronous context', () => {
    it('of what a client socket emits is that of connect()', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => storage.run('somebody else', () => socket.end('hello')).resume());
      const client = storage.run('mine', () => dial(t, port));
      const seen = contexts(client, ['connect', 'ready', 'data', 'end', 'close']);
      await event(client, 'close');
      expect(seen).toEqual({ connect: 'mine', ready: 'mine', data: 'mine', end: 'mine', close: 'mine' });
    });

    it("of a 'connection' is that of listen()", async () => {
      const server = createServer(t);
      const port = await storage.run('listening', () => listen(server));
      const seen: unknown[] = [];
      server.on('connection', () => seen.push(storage.getStore()));
      const accepting = accept(server);
      storage.run('connecting', () => dial(t, port));
      await accepting;
      expect(seen).toEqual(['listening']);
    });

    it("of what an accepted socket emits is nobody else's", async () => {
      const server = createServer(t);
      const port = await storage.run('listening', () => listen(server));
      let seen: Record<string, string | undefined> = {};
      server.on('connection', (socket) => {
        seen = contexts(socket, ['data', 'end', 'close']);
      });
      const accepting = accept(server);
      const client = storage.run('connecting', () => dial(t, port));
      const accepted = await accepting;
      const closed = event(accepted, 'close');
      client.resume();
      await storage.run('writing', () => new Promise((resolve) => client.write('hello', resolve)));
      storage.run('ending', () => client.end());
      await closed;
      expect(seen).toEqual({ data: undefined, end: undefined, close: undefined });
    });

    it('of a write callback is that of its write(), also of one that had to wait', async () => {
      const { client, accepted } = await open(t);
      const seen: unknown[] = [];
      const note = (name: string) => (): unknown => seen.push([name, storage.getStore()]);
      storage.run('small', () => client.write('x', note('small')));
      storage.run('large', () => client.write(Buffer.alloc(t.capacity + 1_000_000), note('large')));
      storage.run('reading', () => accepted.resume());
      await until(() => seen.length === 2);
      expect(seen).toEqual([
        ['small', 'small'],
        ['large', 'large'],
      ]);
    });

    it('of one connection is never that of another', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const wrong: unknown[] = [];
      const clients = Array.from({ length: 8 }, (_, i) => {
        const client = storage.run(`client ${i}`, () => dial(t, port));
        client.on('data', (chunk) => {
          const store = storage.getStore();
          if (store !== `client ${i}`) wrong.push([chunk.toString(), store]);
        });
        return client;
      });
      await Promise.all(clients.map((client) => event(client, 'connect')));
      for (let round = 0; round < 5; round++) {
        for (const [i, client] of clients.entries()) storage.run(`write ${i}`, () => client.write(`${i}`));
        await until(() => clients.every((client) => client.bytesRead === round + 1));
      }
      expect(wrong).toEqual([]);
    });
  });

  describe('diagnostics channels', () => {
    it('tell of every socket once, with the socket the program has', async () => {
      const seen: [string, Socket][] = [];
      for (const name of ['net.client.socket', 'net.server.socket']) {
        const listener = (message: unknown): unknown => seen.push([name, (message as { socket: Socket }).socket]);
        subscribe(name, listener);
        onTestFinished(() => void unsubscribe(name, listener));
      }
      const { client, accepted } = await open(t);
      expect(seen.length).toBe(2);
      expect(seen.map(([name, socket]) => [name, socket === client, socket === accepted])).toEqual([
        ['net.client.socket', true, false],
        ['net.server.socket', false, true],
      ]);
    });
  });
}
