// exchange.test.ts - {ours, plain net} x {ours, plain net} in two processes: every byte arrives, and no other.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import type { SideArgs } from '../peers/lib.js';
import { Peer } from '../support/peer.js';
import { payload } from '../support/random.js';

const OURS: SideArgs = { module: '@smcjs/core', options: {} };
const PLAIN: SideArgs = { module: 'node:net', options: {} };
const CONNECTIONS = 4;
const LENGTH = { client: 1_500_007, server: 700_001 } as const;

/** As in peers/exchanger.ts: the stream of a role on the connection of this client port. */
const seedOf = (role: 'client' | 'server', clientPort: number): number => clientPort * 2 + (role === 'server' ? 1 : 0);

const MATRIX = [
  { client: 'plain', server: 'plain', expected: ['plain', 'plain'] },
  { client: 'ours', server: 'plain', expected: ['tcp', 'plain'] },
  { client: 'plain', server: 'ours', expected: ['plain', 'tcp'] },
  { client: 'ours', server: 'ours', expected: ['smcd', 'smcd'] },
] as const;

describe('two processes', () => {
  for (const { client, server, expected } of MATRIX) {
    for (const first of ['client', 'server'] as const) {
      it(`exchange everything: client ${client}, server ${server}, the ${first} speaks first`, async () => {
        const start = (role: 'client' | 'server', kind: 'ours' | 'plain', port: number): Peer =>
          new Peer('exchanger', {
            side: kind === 'ours' ? OURS : PLAIN,
            role,
            first,
            length: LENGTH[role],
            connections: CONNECTIONS,
            port,
          } satisfies ExchangerArgs);

        const serving = start('server', server, 0);
        const { port } = await serving.message('listening');
        const dialing = start('client', client, port as number);

        for (const [peer, role, other, transport] of [
          [dialing, 'client', 'server', expected[0]],
          [serving, 'server', 'client', expected[1]],
        ] as const) {
          const reports = await peer.messages('exchanged');
          expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
          expect(reports.length, peer.errors).toBe(CONNECTIONS);
          for (const report of reports) {
            const sent = payload(seedOf(other, report['clientPort'] as number), LENGTH[other]);
            expect(report, `as seen by the ${role}`).toMatchObject({
              received: LENGTH[other],
              sha256: createHash('sha256').update(sent).digest('hex'),
              transport,
            });
            expect(report['failure']).toBeUndefined();
          }
        }
      });
    }
  }
});
