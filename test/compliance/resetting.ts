// resetting.ts - resetAndDestroy(): the peer learns that the connection was not closed in order.

import { describe, expect, it } from 'vitest';
import { errorOf, event, record, until } from '../support/events.js';
import { dial, listening, open, type TransportCase } from './transport-case.js';

export function resetting(t: TransportCase): void {
  describe('resetAndDestroy()', () => {
    for (const who of ['client', 'server'] as const) {
      it(`by the ${who} gives the peer ECONNRESET`, async () => {
        const { client, accepted } = await open(t);
        const [one, two] = who === 'client' ? [client, accepted] : [accepted, client];
        const seen = [record(one), record(two)];
        two.resume();
        expect(one.resetAndDestroy()).toBe(one);
        await event(two, 'close');
        await until(() => seen[0]?.includes('close false') === true);
        expect(seen[0]?.at(-1)).toBe('close false');
        expect(seen[1]).toEqual(['error ECONNRESET', 'close true']);
      });
    }

    it('waits for the connection when it is called while connecting', async () => {
      const { server, port } = await listening(t);
      let seen: string[] = [];
      server.on('connection', (socket) => {
        seen = record(socket);
        socket.resume();
      });
      dial(t, port).resetAndDestroy();
      await until(() => seen.length >= 2);
      expect(seen).toEqual(['error ECONNRESET', 'close true']);
    });

    it('fails on a closed socket', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      client.destroy();
      await event(client, 'close');
      client.resetAndDestroy();
      const fresh = new t.client.api.Socket({ ...t.client.options });
      const failing = errorOf(fresh);
      fresh.resetAndDestroy();
      expect((await failing).code).toBe('ERR_SOCKET_CLOSED');
    });
  });
}
