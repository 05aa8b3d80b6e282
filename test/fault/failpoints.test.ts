// failpoints.test.ts - death and a stop at every step of connect, accept, switch and close. The other side ends as over
// TCP, or waits and loses nothing; what the dead leave is gone after the next listen or connect.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { Peer } from '../support/peer.js';

type Role = 'client' | 'server';
type Step = readonly [what: string, point: string, nth?: number];

const CONNECTIONS = 3;
const LENGTH = 60_000;

const SENDING: readonly Step[] = [
  ['the first bytes', 'RingProducer.publish'],
  ['bytes in the middle', 'RingProducer.publish', 3],
  ['its half close', 'RingSender.final'],
  ['the word that no more follows', 'RingProducer.setState'],
  ['its close', 'RingStream.close'],
  ['the end of its channel', 'SmcdChannel.close'],
];

const STEPS: Readonly<Record<Role, readonly Step[]>> = {
  client: [
    ['the name of the connection to come', 'SmcdAttempt.start'],
    ['the claim of an offer', 'SmcdAttempt.offered'],
    ['its answer', 'LinkGroup.answer'],
    ['its Proposal', 'Handshake.send'],
    ['its Confirm', 'Handshake.send', 2],
    ['the opening of its channel', 'LinkGroup.open'],
    ...SENDING,
  ],
  server: [
    ['the dialling of the client', 'SmcdEnvironment.serve'],
    ['its hello', 'LinkGroup.start'],
    ['the memory set aside', 'LinkGroup.reserve'],
    ['its offer', 'LinkGroup.offer'],
    ['its Accept', 'Handshake.send'],
    ['the opening of its channel', 'LinkGroup.open'],
    ...SENDING,
  ],
};

/** Milliseconds from a death to the end of the other process, which includes the exchanges it still had to end. */
const ends: number[] = [];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'smc-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function exchanger(role: Role, port: number, failpoint?: string): Peer {
  const args = {
    side: { module: '@smcjs/core', options: {} },
    role,
    first: 'client',
    length: LENGTH,
    connections: CONNECTIONS,
    port,
  } as const;
  const preload = new URL('../dist/peers/failpoint.js', import.meta.url).href;
  return new Peer('exchanger', args satisfies ExchangerArgs, {
    env: { SMC_RUNTIME_DIR: directory, ...(failpoint === undefined ? {} : { SMC_TEST_FAILPOINT: failpoint }) },
    execArgv: failpoint === undefined ? [] : ['--import', preload],
  });
}

/** A server and a client, one of which has a failpoint. */
async function meet(victim: Role, failpoint?: string): Promise<Record<Role, Peer>> {
  const server = exchanger('server', 0, victim === 'server' ? failpoint : undefined);
  const port = (await server.message('listening')).port as number;
  return { server, client: exchanger('client', port, victim === 'client' ? failpoint : undefined) };
}

/** Both have exchanged everything over shared memory. */
async function exchanged(peers: Record<Role, Peer>): Promise<void> {
  for (const peer of [peers.client, peers.server]) {
    expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
    const all = await peer.messages('exchanged');
    expect(all.map(({ received, transport, failure }) => ({ received, transport, failure }))).toEqual(
      Array(CONNECTIONS).fill({ received: LENGTH, transport: 'smcd', failure: undefined }),
    );
  }
}

for (const victim of ['client', 'server'] as const) {
  const other = victim === 'client' ? 'server' : 'client';
  for (const [what, point, nth = 1] of STEPS[victim]) {
    for (const when of ['before', 'after'] as const) {
      describe(`a ${victim}, ${when} ${what}`, () => {
        it(`may be killed: the ${other} ends what it had with it, and only that`, async () => {
          const peers = await meet(victim, `${point} ${when} ${nth} kill`);
          expect(await peers[victim].exit, peers[victim].errors).toEqual({ code: null, signal: 'SIGKILL' });
          const killed = performance.now();
          const survivor = peers[other];
          // A server would wait for the connections that have not come.
          if (other === 'server') survivor.send({});
          expect(await survivor.exit, survivor.errors).toEqual({ code: 0, signal: null });
          ends.push(performance.now() - killed);
          for (const { failure } of await survivor.messages('exchanged')) expect([undefined, 'ECONNRESET', 'EPIPE']).toContain(failure);
          for (const { code } of await survivor.messages('failed')) expect(['ECONNRESET', 'ECONNREFUSED']).toContain(code);
        });

        it(`may be stopped for a while: both exchange everything`, async () => {
          const peers = await meet(victim, `${point} ${when} ${nth} stop`);
          await peers[victim].message('failpoint');
          await delay(100);
          peers[victim].kill('SIGCONT');
          await exchanged(peers);
        });
      });
    }
  }
}

describe('after all of this', () => {
  it('two new processes meet, and no name of a dead one is left', async () => {
    ends.sort((a, b) => a - b);
    console.log(
      `${ends.length} survivors ended after ${ends[ends.length >> 1]?.toFixed(0)} ms (median), ${ends.at(-1)?.toFixed(0)} ms (longest)`,
    );
    await exchanged(await meet('client'));
    expect(readdirSync(directory).filter((name) => /^[cel]-/.test(name))).toEqual([]);
  });
});
