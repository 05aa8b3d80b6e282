// reading.ts - the readable side: every way to take bytes out of a socket.

import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { collect, event, record, take, turns, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { listening, dial, open, type TransportCase } from './transport-case.js';

export function reading(t: TransportCase): void {
  describe('reading', () => {
    it("emits no 'data' while paused and loses nothing", async () => {
      const { client, accepted } = await open(t);
      const sent = payload(1, 300_000);
      client.end(sent);
      const chunks: Buffer[] = [];
      accepted.on('data', (chunk) => {
        chunks.push(chunk);
        accepted.pause();
        const count = chunks.length;
        setImmediate(() => {
          expect(chunks.length).toBe(count);
          expect(accepted.isPaused()).toBe(true);
          accepted.resume();
        });
      });
      await event(accepted, 'end');
      expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    });

    it('decodes characters that are split between writes', async () => {
      const { client, accepted } = await open(t);
      accepted.setEncoding('utf8');
      let text = '';
      accepted.on('data', (chunk: unknown) => {
        expect(typeof chunk).toBe('string');
        text += chunk as string;
      });
      const bytes = Buffer.from('grüße 世界 🦀');
      for (const byte of bytes) {
        client.write(Buffer.from([byte]));
        await turns(1);
      }
      client.end();
      await event(accepted, 'end');
      expect(text).toBe('grüße 世界 🦀');
    });

    it('decodes to hex', async () => {
      const { client, accepted } = await open(t);
      accepted.setEncoding('hex');
      const parts: string[] = [];
      accepted.on('data', (chunk: unknown) => parts.push(chunk as string));
      client.end(Buffer.from([0, 255, 16]));
      await event(accepted, 'end');
      expect(parts.join('')).toBe('00ff10');
    });

    it('is an async iterable', async () => {
      const { client, accepted } = await open(t);
      const sent = payload(2, 400_000);
      client.end(sent);
      const chunks: Buffer[] = [];
      for await (const chunk of accepted) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    });

    it("loses nothing to who awaits one 'data' after the other", async () => {
      const { client, accepted } = await open(t);
      const sent = payload(3, 3_000_000);
      const ended = event(accepted, 'end').then(() => undefined);
      const chunks: Buffer[] = [];
      // Everything is there before the first byte is asked for, as far as it fits: chunk follows chunk.
      client.end(sent);
      await turns(20);
      for (;;) {
        const chunk = await Promise.race([once(accepted, 'data'), ended]);
        if (chunk === undefined) break;
        chunks.push(chunk[0] as Buffer);
      }
      expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    });

    it("emits 'end' after who awaited the last 'data' has gone on", async () => {
      const { client, accepted } = await open(t);
      const data = once(accepted, 'data');
      client.end('all there is');
      await data;
      await event(accepted, 'end');
    });

    it('is destroyed by leaving its iteration', async () => {
      const { client, accepted } = await open(t);
      client.on('error', () => {});
      client.write('one');
      for await (const chunk of accepted) {
        expect((chunk as Buffer).toString()).toBe('one');
        break;
      }
      expect(accepted.destroyed).toBe(true);
      client.resume();
      await event(client, 'close');
    });

    it('pipes into itself and out again', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const client = dial(t, port);
      const sent = payload(3, 2_000_003);
      const receiving = collect(client);
      client.end(sent);
      expect((await receiving).equals(sent)).toBe(true);
    });

    it('is a source and a sink of pipeline()', async () => {
      const { client, accepted } = await open(t);
      const sent = payload(4, 700_001);
      const source = new PassThrough();
      const target = new PassThrough();
      const sending = pipeline(source, client);
      const receiving = pipeline(accepted, target);
      accepted.end();
      const [received] = await Promise.all([collect(target), Promise.resolve(source.end(sent)), sending, receiving]);
      expect(received.equals(sent)).toBe(true);
    });

    it("gives exactly what read(n) asks for, and the rest at 'end'", async () => {
      const { client, accepted } = await open(t);
      const parts: string[] = [];
      accepted.on('readable', () => {
        for (let part: Buffer | null; (part = accepted.read(4) as Buffer | null) !== null; ) parts.push(part.toString());
      });
      client.write('abcdef');
      await until(() => parts.length === 1);
      client.write('ghijk');
      await until(() => parts.length === 2);
      client.end('lm');
      await event(accepted, 'end');
      expect(parts).toEqual(['abcd', 'efgh', 'ijkl', 'm']);
    });

    it('gives everything there is to read() without a length', async () => {
      const { client, accepted } = await open(t);
      client.write('all of it');
      await event(accepted, 'readable');
      expect((accepted.read() as Buffer).toString()).toBe('all of it');
      expect(accepted.read()).toBe(null);
    });

    it('takes bytes back by unshift()', async () => {
      const { client, accepted } = await open(t);
      client.write('headerbody');
      const head = await take(accepted, 10);
      accepted.unshift(head.subarray(6));
      client.end(' and more');
      expect((await collect(accepted)).toString()).toBe('body and more');
      expect(accepted.bytesRead).toBe(19);
    });

    it('keeps a chunk as it was when later ones arrive', async () => {
      const { client, accepted } = await open(t);
      const chunks: Buffer[] = [];
      const copies: Buffer[] = [];
      accepted.on('data', (chunk) => {
        chunks.push(chunk);
        copies.push(Buffer.from(chunk));
      });
      client.end(payload(5, 1_500_000));
      await event(accepted, 'end');
      expect(chunks.every((chunk, i) => chunk.equals(copies[i] as Buffer))).toBe(true);
    });

    it("may be destroyed from within 'data'", async () => {
      const { client, accepted } = await open(t);
      client.on('error', () => {});
      const seen = record(accepted);
      let chunks = 0;
      accepted.on('data', () => {
        chunks++;
        accepted.destroy();
      });
      client.write(payload(6, 1_000_000));
      await event(accepted, 'close');
      await turns();
      expect([chunks, seen]).toEqual([1, ['close false']]);
    });

    it("delivers bytes that arrived before anybody listened for 'data'", async () => {
      const { client, accepted } = await open(t);
      client.write('early');
      await until(() => accepted.bytesRead === 5 && accepted.readableLength === 5);
      client.end();
      expect((await collect(accepted)).toString()).toBe('early');
    });

    it('can be handed from one reader to another', async () => {
      const { client, accepted } = await open(t);
      client.write('line one\n');
      expect((await take(accepted, 9)).toString()).toBe('line one\n');
      client.write('line two\n');
      expect((await take(accepted, 5)).toString()).toBe('line ');
      expect((await take(accepted, 4)).toString()).toBe('two\n');
      client.end('rest');
      accepted.resume();
      expect((await collect(accepted)).toString()).toBe('rest');
    });
  });
}
