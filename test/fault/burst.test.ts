// burst.test.ts - more connects at once than the backlog, the peer's queues and one link group hold: each connection is whole,
// on a ring or on TCP, or is reset as over TCP; and when it is over, the next one gets a ring.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { type Message, Peer } from '../support/peer.js';

const WISHED = 10_000;
const CLIENTS = 4;
const LENGTH = 100;
// A client whose connection is dropped from a full backlog waits until it speaks itself: not for minutes here, and long enough for
// a server on a loaded machine to answer.
const env = { SMC_DISCOVERY_WAIT: '5000' };

/** Connections the machine allows one server at a time: each takes one descriptor, one port and four mappings. */
function possible(): number {
  const descriptors = Number(execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })) || WISHED;
  const [low = 0, high = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  const mappings = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
  const limits = { descriptors: descriptors - 200, ports: Math.floor((high - low) / 2), mappings: Math.floor((mappings - 5000) / 4) };
  const least = Math.min(WISHED, ...Object.values(limits));
  if (least < WISHED) console.log(`${least} connections instead of ${WISHED}: the machine allows ${JSON.stringify(limits)}`);
  return least - (least % CLIENTS);
}

const exchanger = (role: 'client' | 'server', port: number, connections: number): Peer =>
  new Peer(
    'exchanger',
    { side: { module: '@smcjs/core', options: {} }, role, first: 'client', length: LENGTH, connections, port } satisfies ExchangerArgs,
    { env },
  );

const whole = ({ received, failure }: Message): boolean => received === LENGTH && failure === undefined;

describe('a burst of connects', () => {
  it('loses nothing of a connection that is made, and leaves SMC-D usable', { timeout: 240_000 }, async () => {
    const connections = possible();
    const server = exchanger('server', 0, connections + 1);
    const port = (await server.message('listening')).port as number;
    const start = performance.now();
    const clients = Array.from({ length: CLIENTS }, () => exchanger('client', port, connections / CLIENTS));
    for (const client of clients) expect(await client.exit, client.errors).toEqual({ code: 0, signal: null });
    const seconds = (performance.now() - start) / 1000;
    const exchanged = (await Promise.all(clients.map((client) => client.messages('exchanged')))).flat();
    const failed = (await Promise.all(clients.map((client) => client.messages('failed')))).flat();
    expect(failed).toEqual([]);
    expect(exchanged.length).toBe(connections);
    const onRing = exchanged.filter(({ transport }) => transport === 'smcd');
    const reset = exchanged.filter(({ transport, failure }) => transport === 'tcp' && failure === 'ECONNRESET');
    console.log(
      `${connections} connects at once from ${CLIENTS} processes, ${seconds.toFixed(1)} s: ${onRing.length} on rings, ` +
        `${connections - onRing.length - reset.length} on TCP, ${reset.length} reset by a full backlog`,
    );
    expect(onRing.length).toBeGreaterThan(0);
    expect(exchanged.filter((report) => !whole(report) && !reset.includes(report))).toEqual([]);

    // A server that was too busy to answer in time is believed again after a second.
    for (let transport = ''; transport !== 'smcd'; ) {
      const later = exchanger('client', port, 1);
      const [report] = (await later.messages('exchanged')) as [Message];
      expect(whole(report), JSON.stringify(report)).toBe(true);
      transport = String(report.transport);
    }
    expect(server.running, server.errors).toBe(true);
    // Not by itself: with SYN cookies the kernel makes connections of segments whose senders have been reset already. They
    // stay open for ever on the server, as they do on one of node:net.
    server.kill('SIGKILL');
    await server.exit;
    expect((await server.messages('exchanged')).filter((report) => report.transport === 'smcd' && !whole(report))).toEqual([]);
  });
});
