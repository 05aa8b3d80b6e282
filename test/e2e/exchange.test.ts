// exchange.test.ts - {ours, plain net} x {ours, plain net} in two processes: every byte arrives, and no other.

import { createHash } from 'node:crypto';
import type { SmcOptions } from '@smcjs/core';
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
            const sent = payload(seedOf(other, report.clientPort as number), LENGTH[other]);
            expect(report, `as seen by the ${role}`).toMatchObject({
              received: LENGTH[other],
              sha256: createHash('sha256').update(sent).digest('hex'),
              transport,
            });
            expect(report.failure).toBeUndefined();
          }
        }
      });
    }
  }

  for (const [ours, theirs] of [
    [16_384, 4_194_304],
    [4_194_304, 16_384],
    [16_384, 16_384],
  ] as const) {
    it(`exchange everything with rings of different sizes: client ${ours}, server ${theirs}`, async () => {
      await exchange({ connections: 3, client: { ringSize: ours }, server: { ringSize: theirs } });
    });
  }

  it('exchange everything on very many connections at once', async () => {
    await exchange({ connections: 300, client: { ringSize: 16_384 }, server: { ringSize: 16_384 }, length: 20_011 });
  });

  it('exchange everything by their default options', async () => {
    await exchange({ connections: 5, client: {}, server: {} });
  });
});

interface Exchange {
  readonly connections: number;
  readonly client: SmcOptions;
  readonly server: SmcOptions;
  readonly length?: number;
}

/** Ours at both ends, with these options: every connection is on shared memory and complete. */
async function exchange({ connections, client, server, length = 1_000_003 }: Exchange): Promise<void> {
  const start = (role: 'client' | 'server', options: SmcOptions, port: number): Peer =>
    new Peer('exchanger', {
      side: { module: '@smcjs/core', options },
      role,
      first: 'client',
      length,
      connections,
      port,
    } satisfies ExchangerArgs);
  const serving = start('server', server, 0);
  const dialing = start('client', client, (await serving.message('listening')).port as number);
  for (const [peer, other] of [
    [dialing, 'server'],
    [serving, 'client'],
  ] as const) {
    const reports = await peer.messages('exchanged');
    expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
    expect(reports.length).toBe(connections);
    for (const { clientPort, received, sha256, transport, failure } of reports) {
      const expected = createHash('sha256')
        .update(payload(seedOf(other, clientPort as number), length))
        .digest('hex');
      expect({ received, sha256, transport, failure }).toEqual({
        received: length,
        sha256: expected,
        transport: 'smcd',
        failure: undefined,
      });
    }
  }
}
