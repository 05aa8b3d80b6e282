// data.ts - bytes arrive, all of them, in order.

import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { collect, event, record, take } from '../support/events.js';
import { payload, Random, Verifier } from '../support/random.js';
import { accept, dial, listening, open, type TransportCase } from './transport-case.js';

/** Writes the whole stream of `seed` in chunks of all sizes, respecting back pressure, then ends. */
async function send(socket: Socket, seed: number, total: number, most: number): Promise<void> {
  let offset = 0;
  for (const length of new Random(seed).lengths(total, most)) {
    if (!socket.write(payload(seed, length, offset))) await event(socket, 'drain');
    offset += length;
  }
  socket.end();
}

async function verify(socket: Socket, seed: number): Promise<number> {
  const verifier = new Verifier(seed);
  socket.on('data', (chunk) => verifier.take(chunk));
  await event(socket, 'end');
  return verifier.received;
}

export function data(t: TransportCase): void {
  describe('data', () => {
    it('echoes', async () => {
      const { client, accepted } = await open(t);
      accepted.on('data', (chunk) => accepted.write(chunk));
      for (const text of ['a', 'hello', 'x'.repeat(1000)]) {
        client.write(text);
        expect((await take(client, text.length)).toString()).toBe(text);
      }
    });

    it('lets the server speak first', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.end('220 ready\r\n'));
      expect((await collect(dial(t, port))).toString()).toBe('220 ready\r\n');
    });

    it('carries megabytes both ways at once, in order, whatever the chunk sizes', async () => {
      const halfOpen = { allowHalfOpen: true };
      const { client, accepted } = await open(t, { client: halfOpen, server: halfOpen });
      const total = 6_000_001;
      const [, , fromServer, fromClient] = await Promise.all([
        send(client, 1, total, 100_000),
        send(accepted, 2, total, 5_000),
        verify(client, 2),
        verify(accepted, 1),
      ]);
      expect([fromClient, fromServer]).toEqual([total, total]);
      expect([client.bytesWritten, client.bytesRead]).toEqual([total, total]);
      expect([accepted.bytesWritten, accepted.bytesRead]).toEqual([total, total]);
    });

    it('keeps the order of very many very small writes', async () => {
      const { client, accepted } = await open(t);
      const total = 60_001;
      const [, received] = await Promise.all([send(client, 3, total, 16), verify(accepted, 3)]);
      expect(received).toBe(total);
    });

    it('takes one write larger than anything in between', async () => {
      const { client, accepted } = await open(t);
      const whole = payload(4, 3_333_333);
      const written = new Promise((resolve) => client.write(whole, resolve));
      expect((await take(accepted, whole.length)).equals(whole)).toBe(true);
      expect(await written).toBeFalsy();
      expect(client.writableLength).toBe(0);
    });

    it('takes writes of exactly the sizes around powers of two', async () => {
      const { client, accepted } = await open(t);
      const sizes = [12, 13, 14, 15, 16, 17].flatMap((bit) => [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]);
      let offset = 0;
      const receiving = verify(accepted, 5);
      for (const size of sizes) {
        client.write(payload(5, size, offset));
        offset += size;
      }
      client.end();
      expect(await receiving).toBe(offset);
    });

    it('sends what was written before it was connected first', async () => {
      const { server, port } = await listening(t);
      const accepting = accept(server);
      const client = dial(t, port);
      const order: string[] = [];
      client.write('one ', () => order.push('one'));
      client.write('two ', () => order.push('two'));
      client.once('connect', () => client.end('three', () => order.push('three')));
      const accepted = await accepting;
      expect((await collect(accepted)).toString()).toBe('one two three');
      accepted.end();
      expect(order).toEqual(['one', 'two', 'three']);
    });

    it('delivers nothing for an empty write and calls its callback in turn', async () => {
      const { client, accepted } = await open(t);
      const order: string[] = [];
      const receiving = collect(accepted);
      client.write('', () => order.push('first'));
      client.write(Buffer.alloc(0), () => order.push('second'));
      client.write('x', () => order.push('third'));
      client.write('', () => order.push('fourth'));
      client.end();
      expect((await receiving).toString()).toBe('x');
      expect(order).toEqual(['first', 'second', 'third', 'fourth']);
      expect(client.bytesWritten).toBe(1);
    });

    it('is done with a buffer when its write calls back', async () => {
      const { client, accepted } = await open(t);
      const receiving = collect(accepted);
      const reused = Buffer.alloc(30_000);
      for (let i = 0; i < 50; i++) {
        reused.fill(i);
        await new Promise((resolve) => client.write(reused, resolve));
      }
      client.end();
      const received = await receiving;
      expect(received.length).toBe(50 * reused.length);
      for (let i = 0; i < 50; i++) expect(received.subarray(i * 30_000, (i + 1) * 30_000).every((byte) => byte === i)).toBe(true);
    });

    it('takes a Uint8Array that is part of a larger one', async () => {
      const { client, accepted } = await open(t);
      const receiving = collect(accepted);
      client.write(new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 4));
      client.end(new Uint8Array([9]));
      expect([...(await receiving)]).toEqual([2, 3, 4, 9]);
    });

    it('refuses what is not bytes', async () => {
      const { client } = await open(t);
      const seen = record(client);
      expect(() => client.write(42 as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
      expect(() => client.write(null as never)).toThrow(expect.objectContaining({ code: 'ERR_STREAM_NULL_VALUES' }));
      expect(seen).toEqual([]);
    });

    it('serves many connections of one server at once', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const clients = Array.from({ length: 20 }, () => dial(t, port));
      const echoed = await Promise.all(
        clients.map(async (client, i) => {
          client.end(payload(100 + i, 50_000));
          return (await collect(client)).equals(payload(100 + i, 50_000));
        }),
      );
      expect(echoed).toEqual(clients.map(() => true));
    });
  });
}
