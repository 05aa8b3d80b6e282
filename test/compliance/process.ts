// process.ts - what keeps a process alive, and what does not. Each test is a process of its own with both ends in it.

import { describe, expect, it } from 'vitest';
import type { AloneArgs, Scenario } from '../peers/alone.js';
import { Peer } from '../support/peer.js';
import type { TransportCase } from './transport-case.js';

const ENDS_BY_ITSELF: readonly [Scenario, string][] = [
  ['everythingClosed', 'when everything is closed'],
  ['everythingDestroyed', 'when everything is destroyed'],
  ['everythingUnreferenced', 'when everything that is open is unreferenced'],
  ['unreferencedBeforeConnecting', 'when the client was unreferenced before it connected'],
  ['pausedIsNotHeldByItsData', 'when data waits in an unreferenced socket'],
  ['nothingStarted', 'when a server was made and never listened'],
];

const IS_HELD: readonly [Scenario, string][] = [
  ['serverHolds', 'by a listening server'],
  ['clientHolds', 'by a client socket'],
  ['acceptedHolds', 'by an accepted socket'],
  ['referencedAgain', 'by a socket that is referenced again'],
  ['serverAlone', 'by a server nobody connected to'],
];

export function processes(t: TransportCase): void {
  const start = (scenario: Scenario): Peer => {
    const side = ({ module, options }: TransportCase['client']): AloneArgs['client'] => ({ module, options });
    return new Peer('alone', {
      client: side(t.client),
      server: side(t.server),
      scenario,
      ...(t.turns && { turns: t.turns }),
    } satisfies AloneArgs);
  };

  describe('a process', () => {
    for (const [scenario, when] of ENDS_BY_ITSELF) {
      it(`ends by itself ${when}`, async () => {
        const peer = start(scenario);
        expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
        expect(peer.errors).toBe('');
        const [connected] = peer.unread.filter((message) => message.is === 'connected');
        if (connected) {
          expect([connected.client, connected.accepted]).toEqual([t.client.transport ?? 'plain', t.server.transport ?? 'plain']);
        } else expect(scenario).toBe('nothingStarted');
      });
    }

    for (const [scenario, by] of IS_HELD) {
      it(`is held ${by}, and only by that`, async () => {
        const peer = start(scenario);
        await peer.message('alive');
        expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      });
    }

    it('holds no more after hundreds of connections than after the first ones', async () => {
      const peer = start('manyInTurn');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      const [first, second, third] = peer.unread.filter((message) => message.is === 'held');
      expect([second, third]).toEqual([first, first]);
    });

    it('that goes on after a listener threw still gets all data of all connections', async () => {
      const peer = start('listenerThrows');
      expect((await peer.message('caught')).message).toBe('thrown by a listener');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      const texts = peer.unread.filter((message) => message.is === 'data').map((message) => String(message.text));
      const of = (name: string): string =>
        texts
          .filter((text) => text.startsWith(name))
          .map((text) => text.slice(name.length + 1))
          .join('');
      expect([of('first'), of('second')]).toEqual(['two', 'onetwo']);
    });

    it('carries data on unreferenced sockets as long as something else holds it', async () => {
      const peer = start('unreferencedStillCarries');
      expect((await peer.message('data')).text).toBe('carried');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
    });
  });
}
