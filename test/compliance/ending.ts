// ending.ts - half close: 'end', 'finish' and 'close', in both directions.

import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, take, turns, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { accept, dial, listening, open, type TransportCase } from './transport-case.js';

export function ending(t: TransportCase): void {
  describe('ending', () => {
    for (const first of ['client', 'server'] as const) {
      it(`ends both ways when the ${first} ends and the other side may not stay half open`, async () => {
        const { client, accepted } = await open(t);
        const [one, two] = first === 'client' ? [client, accepted] : [accepted, client];
        const seen = [record(one), record(two)];
        const closed = [event(one, 'close'), event(two, 'close')];
        one.resume();
        two.resume();
        one.end('bye');
        await Promise.all(closed);
        expect(seen[0]).toEqual(['finish', 'end', 'close false']);
        expect(seen[1]).toEqual(['end', 'finish', 'close false']);
        for (const socket of [one, two]) {
          expect([socket.readableEnded, socket.writableEnded, socket.writableFinished]).toEqual([true, true, true]);
          expect(socket.destroyed).toBe(true);
        }
      });

      it(`leaves the other way open when the ${first} ends and the other side may stay half open`, async () => {
        const halfOpen = { allowHalfOpen: true };
        const { client, accepted } = await open(t, { client: halfOpen, server: halfOpen });
        const [one, two] = first === 'client' ? [client, accepted] : [accepted, client];
        const seen = [record(one), record(two)];
        const closed = [event(one, 'close'), event(two, 'close')];
        one.end('question');
        expect((await collect(two)).toString()).toBe('question');
        await turns(20);
        expect([two.writable, two.destroyed, one.destroyed]).toEqual([true, false, false]);

        const answer = payload(1, 800_000);
        const receiving = collect(one);
        two.write(answer.subarray(0, 10));
        await until(() => one.bytesRead === 10);
        two.end(answer.subarray(10));
        expect((await receiving).equals(answer)).toBe(true);
        await Promise.all(closed);
        expect(seen[0]).toEqual(['finish', 'end', 'close false']);
        expect(seen[1]).toEqual(['end', 'finish', 'close false']);
      });
    }

    it('emits each event once when both sides end at the same time', async () => {
      const { client, accepted } = await open(t);
      const seen = [record(client), record(accepted)];
      const closed = [event(client, 'close'), event(accepted, 'close')];
      client.resume();
      accepted.resume();
      client.end('a');
      accepted.end('b');
      await Promise.all(closed);
      await turns();
      for (const events of seen) expect([...events].sort()).toEqual(['close false', 'end', 'finish']);
      for (const events of seen) expect(events.at(-1)).toBe('close false');
    });

    it("delivers what was unread when the peer ended, then 'end'", async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      const sent = payload(2, 50_000);
      client.end(sent);
      await event(client, 'finish');
      await until(() => accepted.readableLength > 0);
      await turns(20);
      expect(accepted.readableEnded).toBe(false);
      expect((await collect(accepted)).equals(sent)).toBe(true);
    });

    it('delivers megabytes that were unread when the peer ended and closed', async () => {
      const { client, accepted } = await open(t, { server: { allowHalfOpen: true } });
      const sent = payload(3, 5_000_000);
      client.end(sent);
      let received = 0;
      accepted.on('data', (chunk) => {
        received += chunk.length;
        accepted.pause();
        setImmediate(() => accepted.resume());
      });
      await event(accepted, 'end');
      expect(received).toBe(sent.length);
    });

    it("emits no 'end' while there is unread data", async () => {
      const { client, accepted } = await open(t);
      const seen = record(accepted);
      client.end('unread');
      await until(() => accepted.readableLength === 6);
      await turns(20);
      expect(seen).toEqual([]);
    });

    it('sees an end without any data', async () => {
      const { client, accepted } = await open(t);
      client.end();
      expect((await collect(accepted)).length).toBe(0);
    });

    it('ends after connecting when end() came first', async () => {
      const { server, port } = await listening(t);
      const accepting = accept(server);
      const client = dial(t, port);
      const seen = record(client, ['connect', 'finish', 'end', 'close']);
      client.resume();
      client.end('early');
      expect((await collect(await accepting)).toString()).toBe('early');
      await until(() => seen.includes('close false'));
      expect(seen).toEqual(['connect', 'finish', 'end', 'close false']);
    });

    it('refuses a write after end()', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      accepted.on('error', () => {});
      client.end('x');
      const failing = errorOf(client);
      const called = new Promise<unknown>((resolve) => client.write('y', resolve));
      expect(await called).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END' });
      expect((await failing).code).toBe('ERR_STREAM_WRITE_AFTER_END');
    });

    it('refuses a write after the peer closed, sooner or later', async () => {
      const { client, accepted } = await open(t, { client: { allowHalfOpen: true } });
      const failing = errorOf(client);
      const closing = event(client, 'close');
      client.resume();
      accepted.destroy();
      await event(accepted, 'close');
      const codes: unknown[] = [];
      while (!client.destroyed) {
        await new Promise<void>((resolve) => {
          client.write('anybody there?', (error) => {
            codes.push((error as NodeJS.ErrnoException | null | undefined)?.code);
            setImmediate(resolve);
          });
        });
      }
      expect(['EPIPE', 'ECONNRESET']).toContain((await failing).code);
      expect(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']).toContain(codes.at(-1));
      expect(await closing).toEqual([true]);
    });

    it('still receives after it ended itself', async () => {
      const { client, accepted } = await open(t, { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } });
      client.end();
      await event(client, 'finish');
      accepted.write('one');
      expect((await take(client, 3)).toString()).toBe('one');
      accepted.end('two');
      expect((await collect(client)).toString()).toBe('two');
    });

    it('flushes before it closes in destroySoon()', async () => {
      const { client, accepted } = await open(t);
      const receiving = collect(accepted);
      const closing = event(client, 'close');
      client.write(payload(4, 900_000));
      client.destroySoon();
      expect((await receiving).equals(payload(4, 900_000))).toBe(true);
      expect(await closing).toEqual([false]);
    });

    it('calls back a second end() with an error', async () => {
      const { client, accepted } = await open(t, { server: { allowHalfOpen: true } });
      accepted.resume();
      client.end();
      await event(client, 'finish');
      const error = await new Promise((resolve) => void client.end(resolve as () => void));
      expect(error).toMatchObject({ code: 'ERR_STREAM_ALREADY_FINISHED' });
    });

    it('survives many connections that open, exchange and close', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      for (let i = 0; i < 60; i++) {
        const client = dial(t, port);
        const closing = event(client, 'close');
        client.end(`round ${i}`);
        expect((await collect(client)).toString()).toBe(`round ${i}`);
        expect(await closing).toEqual([false]);
      }
    });
  });
}
