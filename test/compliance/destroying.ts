// destroying.ts - destroy() in every state of a connection, and what the peer sees of it.

import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, settled, take, turns, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { dial, listening, open, type TransportCase } from './transport-case.js';

const FAILED_WRITE = ['ERR_STREAM_DESTROYED', 'ECANCELED', 'ECONNRESET', 'EPIPE', 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION'];

/** Codes of all write callbacks, in order; `undefined` for a write that was taken. */
function codesOf(results: readonly (Error | null | undefined)[]): unknown[] {
  return results.map((error) => (error as NodeJS.ErrnoException | null | undefined)?.code);
}

export function destroying(t: TransportCase): void {
  describe('destroy()', () => {
    it('closes a socket that never connected', async () => {
      const socket = new t.client.api.Socket({ ...t.client.options });
      const seen = record(socket);
      socket.destroy();
      expect(socket.destroyed).toBe(true);
      await event(socket, 'close');
      await turns();
      // Without a connection 'close' comes without its argument.
      expect(seen).toEqual(['close']);
    });

    it('gives the error it was called with', async () => {
      const socket = new t.client.api.Socket({ ...t.client.options });
      const seen = record(socket);
      socket.destroy(Object.assign(new Error('mine'), { code: 'MINE' }));
      await event(socket, 'close');
      expect(seen).toEqual(['error MINE', 'close']);
    });

    it('closes while connecting, without an error', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.on('error', () => {}).resume());
      const client = dial(t, port);
      const seen = record(client, ['connect', 'ready', 'end', 'error', 'close']);
      const results: unknown[] = [];
      client.write('never sent', (error) => results.push((error as NodeJS.ErrnoException).code));
      client.destroy();
      await event(client, 'close');
      await turns(20);
      expect(seen).toEqual(['close false']);
      expect(results.length).toBe(1);
      expect(FAILED_WRITE).toContain(results[0]);
      expect([client.connecting, client.readyState]).toEqual([false, 'closed']);
    });

    for (const later of [1, 2, 3, 5, 8, 13]) {
      it(`closes in the middle of connecting, ${later} turns after it began, and leaves the server usable`, async () => {
        const { server, port } = await listening(t);
        server.on('connection', (socket) => socket.on('error', () => {}).pipe(socket));
        const client = dial(t, port);
        await turns(later);
        client.destroy();
        await event(client, 'close');
        const next = dial(t, port);
        next.end('still there');
        expect((await collect(next)).toString()).toBe('still there');
        await new Promise((resolve) => server.close(resolve));
      });
    }

    it("closes once, and the peer sees 'end'", async () => {
      const { client, accepted } = await open(t);
      const seen = [record(client), record(accepted)];
      const closed = [event(client, 'close'), event(accepted, 'close')];
      accepted.resume();
      client.destroy();
      client.destroy(new Error('too late to matter'));
      expect([client.destroyed, client.readyState, client.readable, client.writable]).toEqual([true, 'closed', false, false]);
      await Promise.all(closed);
      expect(seen).toEqual([['close false'], ['end', 'finish', 'close false']]);
    });

    it('lets the peer read what was sent before', async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      const sent = payload(1, 20_000);
      await new Promise((resolve) => client.write(sent, resolve));
      client.destroy();
      await event(client, 'close');
      expect((await collect(accepted)).equals(sent)).toBe(true);
    });

    it('passes an error on to nobody but its own side', async () => {
      const { client, accepted } = await open(t);
      const seen = [record(client), record(accepted)];
      const closed = [event(client, 'close'), event(accepted, 'close')];
      accepted.resume();
      client.destroy(Object.assign(new Error('mine'), { code: 'MINE' }));
      await Promise.all(closed);
      expect(seen).toEqual([
        ['error MINE', 'close true'],
        ['end', 'finish', 'close false'],
      ]);
    });

    it('closes a connection that is half closed by itself', async () => {
      const { client, accepted } = await open(t, { server: { allowHalfOpen: true } });
      accepted.on('error', () => {});
      const seen = record(client);
      client.end('x');
      expect((await collect(accepted)).toString()).toBe('x');
      client.destroy();
      await event(client, 'close');
      expect(seen).toEqual(['finish', 'close false']);
    });

    it('closes a connection that is half closed by the peer', async () => {
      const { client, accepted } = await open(t, { client: { allowHalfOpen: true } });
      const seen = record(client);
      accepted.end('x');
      expect((await collect(client)).toString()).toBe('x');
      client.destroy();
      await event(client, 'close');
      expect(seen).toEqual(['end', 'close false']);
      accepted.resume();
      await event(accepted, 'close');
    });

    it('calls back every pending write, those that were not taken with an error', async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      const results: (Error | null | undefined)[] = [];
      const count = 8;
      // More than the transport and a reader that takes one last helping can hold.
      const size = Math.ceil((t.capacity * 2 + 1_000_000) / count);
      const block = Buffer.alloc(size);
      for (let i = 0; i < count; i++) client.write(block, (error) => results.push(error));
      await settled(() => results.length, 50);
      client.destroy();
      await until(() => results.length === count);
      const codes = codesOf(results);
      expect(FAILED_WRITE).toContain(codes.at(-1));
      const firstFailed = codes.findIndex((code) => code !== undefined);
      for (const code of codes.slice(firstFailed)) expect(FAILED_WRITE).toContain(code);
      await turns(20);
      expect(results.length).toBe(count);
      expect([client.bytesWritten <= count * size, client.writable]).toEqual([true, false]);
    });

    for (const later of [false, true]) {
      it(`has not finished when it comes ${later ? 'a tick' : 'right'} after end()`, async () => {
        const { client, accepted } = await open(t);
        accepted.resume();
        const seen = record(client);
        const ended = new Promise((resolve) => client.end('x', resolve as () => void));
        if (later) process.nextTick(() => client.destroy());
        else client.destroy();
        expect(await ended).toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
        await event(client, 'close');
        expect([client.writableFinished, seen]).toEqual([false, ['close false']]);
      });
    }

    it('refuses a write afterwards', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const seen = record(client);
      client.destroy();
      const error = await new Promise((resolve) => client.write('x', resolve));
      expect(error).toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
      await turns();
      expect(seen).toEqual(['close false']);
    });

    for (const size of [1, 1_000_000]) {
      it(`resets the connection when ${size} sent bytes were not read`, async () => {
        const { client, accepted } = await open(t, { server: { pauseOnConnect: true } });
        const failing = errorOf(client);
        const closing = event(client, 'close');
        client.resume();
        client.write(payload(2, size));
        await settled(() => client.writableLength, 50);
        accepted.destroy();
        expect(['ECONNRESET', 'EPIPE']).toContain((await failing).code);
        expect(await closing).toEqual([true]);
      });
    }

    it('ends the connection in order when everything was read', async () => {
      const { client, accepted } = await open(t);
      const seen = record(client);
      client.resume();
      client.write('all read');
      expect((await take(accepted, 8)).toString()).toBe('all read');
      accepted.destroy();
      await event(client, 'close');
      expect(seen).toEqual(['end', 'finish', 'close false']);
    });

    it("may be called from a 'connect' and from a 'connection' listener", async () => {
      const { server, port } = await listening(t);
      const gone: Promise<unknown>[] = [];
      server.on('connection', (socket: Socket) => {
        gone.push(
          event(
            socket.on('error', () => {}),
            'close',
          ),
        );
        socket.destroy();
      });
      const client = dial(t, port).on('error', () => {});
      client.resume();
      await event(client, 'close');
      const other = dial(t, port).on('error', () => {});
      other.on('connect', () => other.destroy());
      await event(other, 'close');
      await until(() => gone.length === 2);
      await Promise.all(gone);
    });

    it('is what disposal does', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const failing = errorOf(client);
      await client[Symbol.asyncDispose]();
      expect((await failing).name).toBe('AbortError');
      expect(client.destroyed).toBe(true);
    });

    it('lets the same socket connect again', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const client = dial(t, port, { allowHalfOpen: true });
      client.end('one');
      expect((await collect(client)).toString()).toBe('one');
      if (!client.destroyed) await event(client, 'close');
      client.removeAllListeners();
      const closing = event(client, 'close');
      client.connect({ port, host: '127.0.0.1' });
      expect([client.connecting, client.destroyed]).toEqual([true, false]);
      await event(client, 'connect');
      client.end('two');
      expect((await collect(client)).toString()).toBe('two');
      expect([client.bytesRead, client.bytesWritten]).toEqual([3, 3]);
      await closing;
    });
  });
}
