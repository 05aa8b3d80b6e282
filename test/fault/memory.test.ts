// memory.test.ts - a process that gets no more memory for rings: connections that come then go over TCP and say why, those
// that exist go on, and when there is memory again the next ones get rings.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { HolderArgs, HolderCommand } from '../peers/holder.js';
import type { SideArgs } from '../peers/lib.js';
import { type Message, Peer } from '../support/peer.js';

const MEGABYTE = 2 ** 20;
/**
 * Address space that is left: not for all rings of the first segments, four on either side; for those, but not for the
 * peer's next segment, which is of 32 MiB; for that, but not for all of its rings.
 */
const LEFT = [30 * MEGABYTE, 60 * MEGABYTE, 160 * MEGABYTE];
const CONNECTIONS = 40;
const SIDE: SideArgs = { module: '@smcjs/core', options: { transports: ['smcd', 'tcp'], ringSize: 4 * MEGABYTE } };
// Its threads are there, its heap does not grow: what is left is for rings.
const HEAP = ['--max-semi-space-size=1', '--single-threaded-gc'];

interface Opened {
  readonly transport?: string;
  readonly reason?: string;
  readonly failure?: string;
}

const holder = (args: Omit<HolderArgs, 'side'>): Peer =>
  new Peer('holder', { side: SIDE, ...args } satisfies HolderArgs, { execArgv: HEAP });

async function ask(peer: Peer, command: HolderCommand, answer: string): Promise<Message> {
  peer.send(command);
  return peer.message(answer);
}

async function open(client: Peer, count: number): Promise<Opened[]> {
  return (await ask(client, { do: 'open', count }, 'opened')).opened as Opened[];
}

function limit(peer: Peer, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(peer.pid), `--as=${bytes}:`]);
}

/** From now on this process may map only so much more. */
function ration(peer: Peer, left: number): void {
  const size = Number(/^VmSize:\s*(\d+) kB/m.exec(readFileSync(`/proc/${peer.pid}/status`, 'utf8'))?.[1]);
  limit(peer, size * 1024 + left);
}

const reason = spawnSync('prlimit', ['--version']).status === 0 ? undefined : 'prlimit (util-linux) is not installed';

const options = { skip: reason !== undefined, meta: { reason } };

for (const [poor, left] of (['client', 'server'] as const).flatMap((role) => LEFT.map((bytes) => [role, bytes] as const))) {
  describe(`a ${poor} with memory for ${left / MEGABYTE} MiB more of rings`, options as object, () => {
    it('goes on over TCP, says why, and has rings again when there is memory', async () => {
      const server = holder({ role: 'server', port: 0 });
      const port = (await server.message('listening')).port as number;
      const client = holder({ role: 'client', port });
      const first = await open(client, 2);
      expect(first).toEqual([{ transport: 'smcd' }, { transport: 'smcd' }]);
      expect(await ask(client, { do: 'use' }, 'used')).toMatchObject({ connections: 2, echoed: 2 });

      const rationed = poor === 'client' ? client : server;
      ration(rationed, left);
      const opened = await open(client, CONNECTIONS);
      const onRings = opened.filter(({ transport }) => transport === 'smcd').length;
      const declined = opened.filter(({ transport }) => transport === 'tcp');
      console.log(`${poor} with ${left / MEGABYTE} MiB: ${onRings} more on rings, ${declined.length} on TCP`);
      expect(onRings).toBeGreaterThan(0);
      expect(declined.length).toBeGreaterThan(0);
      expect(onRings + declined.length).toBe(CONNECTIONS);
      expect(new Set(declined.map(({ reason }) => reason))).toEqual(new Set(['no-memory']));
      // Those that were there, those on rings and those on TCP.
      expect(await ask(client, { do: 'use' }, 'used')).toMatchObject({ connections: CONNECTIONS + 2, echoed: CONNECTIONS + 2 });

      // Memory that others have given back is used again, under the same limit.
      await ask(client, { do: 'keep', count: 2 }, 'let go');
      const again = await open(client, onRings);
      expect(again.map(({ transport }) => transport)).toEqual(Array(onRings).fill('smcd'));
      expect(await ask(client, { do: 'use' }, 'used')).toMatchObject({ connections: onRings + 2, echoed: onRings + 2 });

      limit(rationed, 'unlimited');
      const later = await open(client, CONNECTIONS);
      const all = CONNECTIONS + onRings + 2;
      expect(later.map(({ transport }) => transport)).toEqual(Array(CONNECTIONS).fill('smcd'));
      expect(await ask(client, { do: 'use' }, 'used')).toMatchObject({ connections: all, echoed: all });
      client.send({ do: 'leave' });
      expect(await client.exit, client.errors).toEqual({ code: 0, signal: null });
      expect(server.running, server.errors).toBe(true);
    });
  });
}
