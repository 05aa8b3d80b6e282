// server.ts - listening, accepting, limits and closing of a server.

import type { AddressInfo, DropArgument, Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, take, turns, until } from '../support/events.js';
import { accept, createServer, dial, listen, listening, open, transportOf, type TransportCase } from './transport-case.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const connections = (server: ReturnType<typeof createServer>): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));

export function server(t: TransportCase): void {
  describe('a server', () => {
    it('listens by port, by port and host, and by options', async () => {
      for (const args of [[0], [0, '127.0.0.1'], [0, '127.0.0.1', 5], [{ port: 0, host: '127.0.0.1', backlog: 5, exclusive: true }], []]) {
        const one = createServer(t);
        const listened = new Promise<void>((resolve) => (one.listen as (...all: unknown[]) => unknown)(...args, resolve));
        await listened;
        expect(one.listening).toBe(true);
        const accepting = accept(one);
        const client = dial(t, (one.address() as AddressInfo).port);
        client.end('x');
        expect((await collect(await accepting)).toString()).toBe('x');
      }
    });

    it("gives the listener of createServer() and 'connection' the same socket, with the server as this", async () => {
      const seen: unknown[] = [];
      const one = t.server.api.createServer({ ...t.server.options }, function (this: unknown, socket: Socket) {
        seen.push(this, socket);
      });
      const port = await listen(one);
      const accepting = accept(one);
      dial(t, port);
      const accepted = await accepting;
      expect([seen[0] === one, seen[1] === accepted]).toEqual([true, true]);
      one.close();
    });

    it('may be constructed without createServer()', async () => {
      const one = new t.server.api.Server({ ...t.server.options }, (socket) => socket.end('hi'));
      const port = await listen(one);
      expect((await collect(dial(t, port))).toString()).toBe('hi');
      one.close();
    });

    it('fails with EADDRINUSE on a port that is taken', async () => {
      const { port } = await listening(t);
      const second = createServer(t);
      const failing = errorOf(second);
      second.listen(port, '127.0.0.1');
      expect(await failing).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen', port, address: '127.0.0.1' });
      expect(second.listening).toBe(false);
      // It can be tried again elsewhere.
      const elsewhere = await listen(second);
      const accepting = accept(second);
      const client = dial(t, elsewhere);
      await event(client, 'connect');
      expect(transportOf(client)).toBe(t.client.transport);
      await accepting;
    });

    it('refuses to listen twice and to close twice', async () => {
      const { server: one } = await listening(t);
      expect(() => one.listen(0)).toThrow(code('ERR_SERVER_ALREADY_LISTEN'));
      expect(await new Promise((resolve) => one.close(resolve))).toBeUndefined();
      expect(await new Promise((resolve) => one.close(resolve))).toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' });
    });

    it('listens again after it closed', async () => {
      const { server: one } = await listening(t);
      await new Promise((resolve) => one.close(resolve));
      const port = await listen(one);
      one.on('connection', (socket) => socket.end('again'));
      const client = dial(t, port);
      expect((await collect(client)).toString()).toBe('again');
      expect(transportOf(client)).toBe(t.client.transport);
    });

    it('closes when its last connection is gone', async () => {
      const { client, accepted, server: one } = await open(t);
      const seen = record(one, ['close']);
      const closed = new Promise<unknown>((resolve) => one.close(resolve));
      expect(one.listening).toBe(false);
      await turns(20);
      expect(seen).toEqual([]);
      client.write('still works');
      expect((await take(accepted, 11)).toString()).toBe('still works');
      client.resume();
      client.end();
      accepted.resume();
      expect(await closed).toBeUndefined();
      expect(seen).toEqual(['close']);
    });

    it('closes at once without connections', async () => {
      const { server: one, port } = await listening(t);
      await new Promise((resolve) => one.close(resolve));
      expect((await errorOf(dial(t, port, { fallback: 'tcp' }))).code).toBe('ECONNREFUSED');
    });

    it('may be closed from a connection listener', async () => {
      const { server: one, port } = await listening(t);
      one.on('connection', (socket) => {
        one.close();
        socket.end('the last one');
      });
      const closed = event(one, 'close');
      expect((await collect(dial(t, port))).toString()).toBe('the last one');
      await closed;
    });

    it('may be closed while a client is connecting', async () => {
      const { server: one, port } = await listening(t, { fallback: 'tcp' });
      one.on('connection', (socket) => socket.on('error', () => {}).end('made it'));
      const client = dial(t, port, { fallback: 'tcp' });
      const closed = new Promise((resolve) => one.close(resolve));
      const outcome = await Promise.race([errorOf(client), collect(client)]);
      if (outcome instanceof Error) expect(['ECONNREFUSED', 'ECONNRESET']).toContain((outcome as NodeJS.ErrnoException).code);
      else expect(['', 'made it']).toContain(outcome.toString());
      client.destroy();
      await closed;
    });

    it('counts its connections', async () => {
      const { client, accepted, server: one } = await open(t);
      expect(await connections(one)).toBe(1);
      const accepting = accept(one);
      const second = dial(t, (one.address() as AddressInfo).port);
      const other = await accepting;
      expect(await connections(one)).toBe(2);
      const gone = event(other, 'close');
      other.resume();
      second.resume();
      second.end();
      await gone;
      expect(await connections(one)).toBe(1);
      const closed = event(accepted, 'close');
      client.destroy();
      accepted.destroy();
      await closed;
      expect(await connections(one)).toBe(0);
    });

    it('drops what is above maxConnections', async () => {
      const { client, accepted, server: one } = await open(t);
      one.maxConnections = 1;
      const dropping = event(one, 'drop');
      const refused = dial(t, (one.address() as AddressInfo).port);
      refused.resume();
      const outcome = record(refused, ['error', 'end', 'close']);
      const [dropped] = (await dropping) as [DropArgument];
      expect(dropped).toMatchObject({
        localAddress: '127.0.0.1',
        localPort: client.remotePort,
        remoteAddress: '127.0.0.1',
        remoteFamily: 'IPv4',
      });
      expect(typeof dropped.remotePort).toBe('number');
      await until(() => outcome.some((name) => name.startsWith('close')));
      expect(await connections(one)).toBe(1);

      const gone = event(accepted, 'close');
      client.destroy();
      accepted.destroy();
      await gone;
      const accepting = accept(one);
      const next = dial(t, (one.address() as AddressInfo).port);
      next.end('room again');
      expect((await collect(await accepting)).toString()).toBe('room again');
    });

    it('accepts paused sockets with pauseOnConnect', async () => {
      const { client, accepted } = await open(t, { server: { pauseOnConnect: true } });
      client.end('later');
      const seen: string[] = [];
      accepted.on('data', (chunk) => seen.push(chunk.toString()));
      await event(client, 'finish');
      await turns(20);
      expect([seen, accepted.isPaused()]).toEqual([[], true]);
      accepted.resume();
      await event(accepted, 'end');
      expect(seen.join('')).toBe('later');
    });

    it('tells a socket paused by pauseOnConnect of the end when it reads', async () => {
      const { client, accepted } = await open(t, { server: { pauseOnConnect: true } });
      const seen = record(accepted);
      client.end();
      await event(client, 'finish');
      await turns(20);
      expect([seen, accepted.readable]).toEqual([[], true]);
      accepted.resume();
      await event(accepted, 'end');
    });

    it('emits listening after listen() returned and close after close() returned', async () => {
      const one = createServer(t);
      const seen = record(one, ['listening', 'close']);
      one.listen(0, '127.0.0.1');
      expect(seen).toEqual([]);
      await event(one, 'listening');
      one.close();
      expect(seen).toEqual(['listening']);
      await event(one, 'close');
      expect(seen).toEqual(['listening', 'close']);
    });

    it('is closed by disposal', async () => {
      const { server: one } = await listening(t);
      await one[Symbol.asyncDispose]();
      expect(one.listening).toBe(false);
    });

    it("can be ref'd and unref'd at any time", async () => {
      const one = createServer(t);
      expect(one.unref().ref()).toBe(one);
      await listen(one);
      expect(one.unref().ref()).toBe(one);
      await new Promise((resolve) => one.close(resolve));
      expect(one.unref().ref()).toBe(one);
    });

    it('keeps every connection apart from the others', async () => {
      const { server: one, port } = await listening(t);
      one.on('connection', (socket) => {
        socket.once('data', (name) => {
          if (name.toString() === 'die') socket.destroy();
          else socket.end(`hello ${name.toString()}`);
        });
      });
      const answers = await Promise.all(
        ['a', 'die', 'b', 'die', 'c'].map(async (name) => {
          const client = dial(t, port);
          client.on('error', () => {});
          client.write(name);
          return (await collect(client)).toString();
        }),
      );
      expect(answers).toEqual(['hello a', '', 'hello b', '', 'hello c']);
    });
  });
}
