// kernel.test.ts - the kernel's SMC in this guest works and can be observed: what the tests of our own SMC-R rest on.

import { expect, it } from 'vitest';
import { addUeid, KernelPeer, removeUeids, smcFallbacks, smcGroups, smcSockets, smcStats, smcUeids } from './kernel-smc.js';

const UEID = 'SMCJS-TEST-EID';

it('falls back to TCP without a user EID, and that is seen', async () => {
  removeUeids();
  expect(smcUeids()).toEqual([]);
  const before = smcStats();
  const server = new KernelPeer('echo');
  const { port } = await server.line();
  const client = new KernelPeer('client', String(port), '1000', 'hold');
  expect(await client.line()).toMatchObject({ half: 1000 });
  const modes = smcSockets().filter(({ state }) => state === 'active');
  expect(modes.map(({ mode }) => mode)).toEqual(['tcp', 'tcp']);
  client.proceed();
  expect(await client.line()).toMatchObject({ received: 1000, same: true });
  const { clientV2, serverV2 } = before.smcr;
  expect(smcStats().smcr).toMatchObject({ clientV2, serverV2 });
  expect(smcFallbacks().length).toBeGreaterThan(0);
});

it('runs SMC-Rv2 between two programs once there is one', async () => {
  addUeid(UEID);
  expect(smcUeids()).toEqual([UEID]);
  const before = smcStats();
  const server = new KernelPeer('echo');
  const { port } = await server.line();
  const client = new KernelPeer('client', String(port), '1000000', 'hold');
  const { half, local } = await client.line();
  expect(half).toBe(1_000_000);
  const mine = smcSockets().filter(({ state }) => state === 'active');
  expect(mine.map(({ mode }) => mode)).toEqual(['smcr', 'smcr']);
  expect(mine.map(({ localPort, peerPort }) => [localPort, peerPort])).toContainEqual([local, port]);
  const groups = smcGroups().filter(({ connections }) => connections > 0);
  expect(groups.map(({ role }) => role).sort()).toEqual(['client', 'server']);
  for (const group of groups) {
    expect(group).toMatchObject({ ueid: UEID, connections: 1 });
    expect(group.links.map(({ device }) => device)).toContain('rxe0');
  }
  client.proceed();
  expect(await client.line()).toEqual({ local, received: 1_000_000, same: true });
  expect(await server.line()).toMatchObject({ echoed: 1_000_000 });
  const { smcr } = smcStats();
  expect(smcr.clientV2).toBe(before.smcr.clientV2 + 1);
  expect(smcr.serverV2).toBe(before.smcr.serverV2 + 1);
  expect(smcr.sentBytes - before.smcr.sentBytes).toBe(2_000_000);
});
