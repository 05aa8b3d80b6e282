// sockets-beside-smcd.test.ts - SMC-R by 'inline' where shared memory is possible, too: both sides agree which of the two it is, whatever
// comes late.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { collect, listen, LocalRdma, pair } from './simulated/sockets.js';

new LocalRdma();
const directory = mkdtempSync(join(tmpdir(), 'smc-beside-'));
process.env.SMC_RUNTIME_DIR = directory;
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const transports = ['smcd', 'smcr', 'tcp'] as const;

it('takes what the server prefers', async () => {
  const [client, accepted] = await pair({ client: { transports }, server: { transports } });
  expect([client.transport, accepted.transport]).toEqual(['smcd', 'smcd']);
  expect(client.declines.find(({ transport }) => transport === 'smcr')).toMatchObject({ reason: 'not-preferred' });
});

it('takes SMC-R where the client allows no shared memory', async () => {
  const [client, accepted] = await pair({ server: { transports } });
  expect([client.transport, accepted.transport]).toEqual(['smcr', 'smcr']);
});

it('a client that has waited long enough for an offer is met by its Proposal', async () => {
  const at = await listen({ transports });
  // Every turn of the loop takes longer than the client waits: time-outs are looked at before what has arrived.
  let busy = true;
  const spin = () => {
    for (const end = performance.now() + 5; performance.now() < end; );
    if (busy) setImmediate(spin);
  };
  spin();
  for (let i = 0; i < 5; i++) {
    // A listener that did not offer in time is not believed for a while: from the second connection on nobody waits.
    const [client, accepted] = await pair({ client: { transports, discoveryWait: 1 } }, at);
    expect([client.transport, accepted.transport]).toEqual(['smcr', 'smcr']);
    if (i === 0) expect(client.declines.find(({ transport }) => transport === 'smcd')).toMatchObject({ reason: 'no-offer' });
    busy = false;
    accepted.pipe(accepted);
    client.end('which way');
    expect((await collect(client)).toString()).toBe('which way');
  }
});
