// exit.test.ts - process.exit() right after write(): the peer receives what TCP would have delivered.

import { describe, expect, it } from 'vitest';
import type { EndpointArgs } from '../peers/endpoint.js';
import type { SideArgs } from '../peers/lib.js';
import { Peer } from '../support/peer.js';

const SIDES: readonly { name: string; side: SideArgs }[] = [
  { name: 'node:net', side: { module: 'node:net', options: {} } },
  { name: 'tcp', side: { module: '@smcjs/core', options: { transports: ['tcp'] } } },
  { name: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd'], fallback: 'error' } } },
];

const endpoint = (side: SideArgs, args: Partial<EndpointArgs>): Peer =>
  new Peer('endpoint', { side, role: 'server', task: 'receive', seed: 4, port: 0, ...args } satisfies EndpointArgs);

for (const { name, side } of SIDES) {
  describe(`process.exit() after write() over ${name}`, () => {
    for (const leaver of ['client', 'server'] as const) {
      // The largest fits a socket buffer and half a ring: what is taken at once must not be lost.
      for (const bytes of [1, 1000, 16_000, 100_000]) {
        it(`lets the peer read ${bytes} bytes a ${leaver} wrote, then 'end'`, async () => {
          const serving = endpoint(side, leaver === 'server' ? { task: 'sendAndExit', bytes } : {});
          const { port } = await serving.message('listening');
          const dialing = endpoint(side, {
            role: 'client',
            port: port as number,
            ...(leaver === 'client' ? { task: 'sendAndExit', bytes } : {}),
          });
          const [gone, survivor] = leaver === 'server' ? [serving, dialing] : [dialing, serving];
          expect(await gone.exit, gone.errors).toEqual({ code: 0, signal: null });
          expect(await survivor.message('closed')).toMatchObject({ received: bytes, seen: ['end'] });
          survivor.send({ do: 'close' });
          expect(await survivor.exit, survivor.errors).toEqual({ code: 0, signal: null });
        });
      }
    }
  });
}
