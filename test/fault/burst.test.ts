// burst.test.ts - more connects at once than the backlog, the peer's queues and one link group hold: each connection is whole,
// on a ring or on TCP, or is reset as over TCP; and when it is over, the next one gets a ring.

import { describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { type Message, Peer } from '../support/peer.js';

const CONNECTIONS = 3000;
const LENGTH = 100;
// A client whose connection is dropped from a full backlog waits until it speaks itself: not for minutes here.
const env = { SMC_DISCOVERY_WAIT: '500' };

const exchanger = (role: 'client' | 'server', port: number, connections: number): Peer =>
  new Peer(
    'exchanger',
    { side: { module: '@smcjs/core', options: {} }, role, first: 'client', length: LENGTH, connections, port } satisfies ExchangerArgs,
    { env },
  );

const whole = ({ received, failure }: Message): boolean => received === LENGTH && failure === undefined;

describe('a burst of connects', () => {
  it('loses nothing of a connection that is made, and leaves SMC-D usable', { timeout: 120_000 }, async () => {
    const server = exchanger('server', 0, CONNECTIONS + 1);
    const port = (await server.message('listening')).port as number;
    const client = exchanger('client', port, CONNECTIONS);
    expect(await client.exit, client.errors).toEqual({ code: 0, signal: null });
    const exchanged = await client.messages('exchanged');
    expect(exchanged.length).toBe(CONNECTIONS);
    const onRing = exchanged.filter(({ transport }) => transport === 'smcd');
    const reset = exchanged.filter(({ transport, failure }) => transport === 'tcp' && failure === 'ECONNRESET');
    console.log(`${onRing.length} on rings, ${CONNECTIONS - onRing.length - reset.length} on TCP, ${reset.length} reset by a full backlog`);
    expect(onRing.length).toBeGreaterThan(0);
    expect(exchanged.filter((report) => !whole(report) && !reset.includes(report))).toEqual([]);

    // A server that was too busy to answer in time is believed again after a second.
    for (let transport = ''; transport !== 'smcd'; ) {
      const later = exchanger('client', port, 1);
      const [report] = (await later.messages('exchanged')) as [Message];
      expect(whole(report), JSON.stringify(report)).toBe(true);
      transport = String(report.transport);
    }
    server.send({});
    expect(await server.exit, server.errors).toEqual({ code: 0, signal: null });
    expect((await server.messages('exchanged')).filter((report) => report.transport === 'smcd' && !whole(report))).toEqual([]);
  });
});
