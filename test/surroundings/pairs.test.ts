// pairs.test.ts - whoever meets whoever: shared memory only where both ends are ours, TCP without a byte too many elsewhere.

import { describe, expect, it } from 'vitest';
import { accepted, dial, expectExact, type Library, relay, serve, step, transports } from './stations.js';

const CONNECTIONS = 100;
const LIBRARIES: readonly Library[] = ['ours', 'plain net'];

describe('a hundred connections', () => {
  for (const first of ['client', 'server'] as const) {
    for (const serving of LIBRARIES) {
      for (const dialing of LIBRARIES) {
        it(`are exact where the ${first} speaks first, a server of ${serving} and a client of ${dialing}`, async () => {
          const { peer, port } = await serve(serving, { first });
          const all = await dial(dialing, [step({ port, host: '127.0.0.1' }, { count: CONNECTIONS, first })]);
          expectExact(all, CONNECTIONS);
          const used = serving === 'ours' && dialing === 'ours' ? 'smcd' : 'tcp';
          expect(transports(all)).toEqual([dialing === 'ours' ? used : 'plain']);
          const seen = await accepted(peer, CONNECTIONS);
          expect([...new Set(seen.map(({ transport }) => transport))]).toEqual([serving === 'ours' ? used : 'plain']);
          expect(seen.map(({ clientPort }) => clientPort).sort()).toEqual(all.map(({ localPort }) => localPort).sort());
          expect(all.filter(({ localPort, seenPort }) => localPort !== seenPort)).toEqual([]);
        });
      }
    }
  }
});

describe('a relay on the same host', () => {
  for (const first of ['client', 'server'] as const) {
    for (const between of LIBRARIES) {
      it(`made of ${between} keeps nobody waiting and changes nothing where the ${first} speaks first`, async () => {
        const { port } = await serve('ours', { first });
        const { peer, port: through } = await relay(between, port);
        // A wait for an offer would be as long as the watchdog lets this test be.
        const to = { port: through, host: '127.0.0.1', discoveryWait: 60_000 };
        const all = await dial('ours', [step(to, { count: 20, first })]);
        expectExact(all, 20);
        const used = between === 'ours' ? 'smcd' : 'tcp';
        expect(transports(all)).toEqual([used]);
        const kinds = new Set<string>();
        for (let i = 0; i < 20; i++) {
          const { in: incoming, out } = await peer.message('relayed');
          kinds.add(`${incoming} ${out}`);
        }
        expect([...kinds]).toEqual([between === 'ours' ? 'smcd smcd' : 'plain plain']);
      });
    }
  }
});
