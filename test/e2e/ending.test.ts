// ending.test.ts - how a connection between two processes ends, as seen from both sides.

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { actors, KINDS } from './actors.js';

for (const kind of KINDS) {
  describe(`between two processes over ${kind.name}`, () => {
    for (const first of ['client', 'server'] as const) {
      const pick = async (options: { allowHalfOpen?: boolean } = {}) => {
        const { server, client } = await actors(kind, options);
        return first === 'client' ? ([client, server] as const) : ([server, client] as const);
      };

      it(`an end by the ${first} ends both`, async () => {
        const [one, two] = await pick();
        one.tell({ do: 'send', bytes: 300_001, chunk: 30_000 });
        await one.message('sent');
        one.tell({ do: 'end' });
        expect(await Promise.all([one.story(), two.story()])).toEqual([
          ['end', 'close false'],
          ['end', 'close false'],
        ]);
      });

      it(`the other side may go on after an end by the ${first}`, async () => {
        const [one, two] = await pick({ allowHalfOpen: true });
        one.tell({ do: 'end' });
        expect((await two.message('event')).name).toBe('end');
        two.tell({ do: 'send', bytes: 500_000, chunk: 7777 });
        await two.message('sent');
        one.tell({ do: 'await', bytes: 500_000 });
        await one.message('arrived');
        two.tell({ do: 'end' });
        expect(await Promise.all([one.story(), two.story()])).toEqual([['end', 'close false'], ['close false']]);
      });

      it(`a destroy by the ${first} that has read everything is an end`, async () => {
        const [one, two] = await pick();
        one.tell({ do: 'destroy' });
        expect(await Promise.all([one.story(), two.story()])).toEqual([['close false'], ['end', 'close false']]);
      });

      it(`a destroy by the ${first} with unread bytes is a reset`, async () => {
        const [one, two] = await pick();
        one.tell({ do: 'pause' });
        // More than the reader's stream takes by itself, so that the rest is unread by anybody.
        two.tell({ do: 'send', bytes: 4_000_000, chunk: 50_000 });
        await delay(100);
        one.tell({ do: 'destroy' });
        expect(await one.story()).toEqual(['close false']);
        const [error, close] = await two.story();
        expect(['ECONNRESET', 'EPIPE']).toContain(error);
        expect(close).toBe('close true');
      });

      it(`a reset by the ${first} is ECONNRESET`, async () => {
        const [one, two] = await pick();
        one.tell({ do: 'reset' });
        expect((await one.story()).at(-1)).toBe('close false');
        expect(await two.story()).toEqual(['ECONNRESET', 'close true']);
      });
    }

    it('a reader that stops stops the writer in the other process, and nothing is lost when it goes on', async () => {
      const { server, client } = await actors(kind);
      const total = 60_000_000;
      server.tell({ do: 'pause' });
      client.tell({ do: 'send', bytes: total, chunk: 100_000 });
      await delay(300);
      expect(client.unread.some((message) => message.is === 'sent')).toBe(false);
      server.tell({ do: 'await', bytes: total });
      server.tell({ do: 'resume' });
      await Promise.all([client.message('sent'), server.message('arrived')]);
      client.tell({ do: 'end' });
      expect(await Promise.all([client.story(), server.story()])).toEqual([
        ['end', 'close false'],
        ['end', 'close false'],
      ]);
    });
  });
}
