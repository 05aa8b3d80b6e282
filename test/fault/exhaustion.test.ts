// exhaustion.test.ts - a process that runs out of descriptors: connections fail as errors, those that exist go on, and
// when there is room again everything works again.

import { describe, expect, it } from 'vitest';
import type { HoarderArgs } from '../peers/hoarder.js';
import type { SideArgs } from '../peers/lib.js';
import { Peer } from '../support/peer.js';

const SIDES: readonly { name: string; transport: string; side: SideArgs }[] = [
  { name: 'node:net', transport: 'plain', side: { module: 'node:net', options: {} } },
  { name: 'smcd', transport: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd', 'tcp'] } } },
];

const DESCRIPTORS = 64;
const limited = { execPath: '/bin/sh', execArgv: ['-c', `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`, process.execPath] };

for (const { name, transport, side } of SIDES) {
  describe(`out of descriptors over ${name}`, () => {
    for (const poor of ['client', 'server'] as const) {
      it(`the ${poor} survives, and recovers`, async () => {
        const serving = new Peer(
          'hoarder',
          { side, role: 'server', port: 0, connections: 0 } satisfies HoarderArgs,
          poor === 'server' ? limited : {},
        );
        const port = (await serving.message('listening')).port as number;
        const dialing = new Peer(
          'hoarder',
          { side, role: 'client', port, connections: 80 } satisfies HoarderArgs,
          poor === 'client' ? limited : {},
        );
        const hoarded = await dialing.message('hoarded');
        expect(hoarded.connected, dialing.errors).toBeGreaterThan(10);
        expect(hoarded.echoed).toBe(true);
        if (poor === 'client') {
          expect(hoarded.failed).toBeGreaterThan(10);
          expect(hoarded.codes).toEqual(['EMFILE']);
        }
        dialing.send({});
        // All were let go; one more connects as the first one did.
        expect((await dialing.message('again')).transport, dialing.errors).toBe(transport);
        expect(await dialing.exit, dialing.errors).toEqual({ code: 0, signal: null });
        expect(serving.running, serving.errors).toBe(true);
      });
    }
  });
}
