// cluster.test.ts - workers of a cluster share a port; whichever accepts looks for the client itself.

import { connect } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import type { ClusteredArgs } from '../peers/clustered.js';
import { collect, event } from '../support/events.js';
import { Peer } from '../support/peer.js';
import { payload } from '../support/random.js';

const CONNECTIONS = 8;

describe('a cluster', () => {
  for (const scheduling of ['round robin', 'shared'] as const) {
    it(`serves every connection, ${scheduling}`, async () => {
      const peer = new Peer('clustered', { scheduling } satisfies ClusteredArgs);
      const port = (await peer.message('listening')).port as number;
      const transports = await Promise.all(
        Array.from({ length: CONNECTIONS }, async (_, i) => {
          const client = connect({ port, host: '127.0.0.1' });
          await event(client, 'connect');
          const { transport } = client;
          const receiving = collect(client);
          client.end(payload(i, 200_000));
          expect((await receiving).equals(payload(i, 200_000))).toBe(true);
          return transport;
        }),
      );
      const accepted: unknown[] = [];
      while (accepted.length < CONNECTIONS) accepted.push((await peer.message('accepted')).transport);
      expect(transports).toEqual(Array(CONNECTIONS).fill('smcd'));
      expect(accepted).toEqual(transports);
      peer.send({});
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      expect(peer.unread.filter((message) => message.is === 'worker')).toEqual([
        { is: 'worker', code: 0, signal: null },
        { is: 'worker', code: 0, signal: null },
      ]);
    });
  }
});
