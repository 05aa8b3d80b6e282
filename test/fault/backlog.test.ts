// backlog.test.ts - a stopped server whose accept queue is full: connects wait in the kernel as over TCP, none is refused,
// and all are served once the server goes on.

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { HolderArgs, HolderCommand } from '../peers/holder.js';
import type { SideArgs } from '../peers/lib.js';
import { Peer } from '../support/peer.js';

const SIDES: readonly { name: string; transport: string; side: SideArgs }[] = [
  { name: 'node:net', transport: 'plain', side: { module: 'node:net', options: {} } },
  { name: 'smcd', transport: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd', 'tcp'] } } },
];
const CONNECTS = 6;
/** What Linux lets into the queue of a listener with backlog 1: one more than that. */
const QUEUED = 2;

const tell = (peer: Peer, command: HolderCommand): void => peer.send(command);

for (const { name, transport, side } of SIDES) {
  describe(`a stopped server with a full backlog, over ${name}`, () => {
    // With the short wait those in the queue are connected over TCP before the server goes on; with the long one they wait.
    for (const wait of transport === 'plain' ? [0] : [50, 4000]) {
      it(`serves every connect when it goes on${wait > 0 ? `, discoveryWait ${wait}` : ''}`, async () => {
        const holder = (args: Omit<HolderArgs, 'side'>): Peer =>
          new Peer('holder', { side, ...args } satisfies HolderArgs, { env: { SMC_DISCOVERY_WAIT: String(wait) } });
        const server = holder({ role: 'server', port: 0, backlog: 1 });
        const port = (await server.message('listening')).port as number;
        const client = holder({ role: 'client', port });
        server.kill('SIGSTOP');
        tell(client, { do: 'open', count: CONNECTS, atOnce: true });
        const soon = wait <= 50;
        for (let i = 0; soon && i < QUEUED; i++) await client.message('connected');
        await delay(300);
        const more = client.unread.filter(({ is }) => is === 'connected').length;
        // The third handshake's last part may be dropped by the kernel: the client's side of it is connected.
        expect(more).toBeLessThanOrEqual(soon ? CONNECTS - QUEUED : 0);
        expect(client.unread.some(({ is }) => is === 'opened')).toBe(false);
        server.kill('SIGCONT');
        const opened = (await client.message('opened')).opened as { transport?: string; failure?: string }[];
        const on = (which: string) => opened.filter((each) => each.transport === which).length;
        console.log(
          `${name}, wait ${wait}: ${(soon ? QUEUED : 0) + more} of ${CONNECTS} connected while it was stopped; then ${on('smcd')} on rings`,
        );
        expect(opened.filter(({ failure }) => failure !== undefined)).toEqual([]);
        // Those the kernel kept in the queue. Of others that it has answered with a SYN cookie the server knows nothing before
        // they speak: they do that when the wait is over.
        if (!soon) expect(on(transport)).toBeGreaterThanOrEqual(QUEUED);
        tell(client, { do: 'use' });
        expect(await client.message('used')).toMatchObject({ connections: CONNECTS, echoed: CONNECTS });
        // Who did not offer in time is believed again after a second.
        for (let used = ''; used !== transport; await delay(100)) {
          tell(client, { do: 'open', count: 1 });
          [{ transport: used = '' } = {}] = (await client.message('opened')).opened as { transport?: string }[];
        }
        tell(client, { do: 'leave' });
        expect(await client.exit, client.errors).toEqual({ code: 0, signal: null });
        expect(server.running, server.errors).toBe(true);
      });
    }
  });
}
