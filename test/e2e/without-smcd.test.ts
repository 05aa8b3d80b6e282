// without-smcd.test.ts - where shared memory cannot be had everything works over TCP, and each side says why.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { Peer, type PeerOptions } from '../support/peer.js';

interface Declined {
  readonly transport: string;
  readonly side: string;
  readonly reason: string;
  readonly detail: string;
  readonly hint: string;
}

const LENGTH = 300_000;
const MAJOR = Number(process.versions.node.split('.')[0]);
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';

const OPEN = mkdtempSync(join(tmpdir(), 'smc-open-'));
chmodSync(OPEN, 0o777);
afterAll(() => rmSync(OPEN, { recursive: true, force: true }));

const SITUATIONS: readonly { name: string; options: PeerOptions; reason: string }[] = [
  { name: 'SMC_TRANSPORTS=tcp', options: { env: { SMC_TRANSPORTS: 'tcp' } }, reason: 'configuration' },
  { name: 'an addon that is not there', options: { env: { SMC_ADDON: '/nowhere/smcd.node' } }, reason: 'no-addon' },
  { name: 'an addon that is no addon', options: { env: { SMC_ADDON: process.execPath } }, reason: 'no-addon' },
  { name: '--no-addons', options: { execArgv: ['--no-addons'] }, reason: 'permission' },
  {
    name: `${PERMISSION} without --allow-addons`,
    // The network is part of the permission model from Node 25 on.
    options: {
      execArgv: [PERMISSION, '--allow-fs-read=*', '--disable-warning=ExperimentalWarning', ...(MAJOR >= 25 ? ['--allow-net'] : [])],
    },
    reason: 'permission',
  },
  { name: 'a runtime directory that others may write to', options: { env: { SMC_RUNTIME_DIR: OPEN } }, reason: 'runtime-dir' },
  { name: 'a relative runtime directory', options: { env: { SMC_RUNTIME_DIR: 'smc' } }, reason: 'runtime-dir' },
  { name: 'a runtime directory that is a file', options: { env: { SMC_RUNTIME_DIR: process.execPath } }, reason: 'runtime-dir' },
];

const start = (args: Partial<ExchangerArgs>, options: PeerOptions): Peer =>
  new Peer(
    'exchanger',
    {
      side: { module: '@smcjs/core', options: {} },
      role: 'server',
      first: 'client',
      length: LENGTH,
      connections: 2,
      port: 0,
      ...args,
    } satisfies ExchangerArgs,
    options,
  );

describe('without shared memory', () => {
  for (const { name, options, reason } of SITUATIONS) {
    for (const where of ['both sides', 'the client', 'the server'] as const) {
      it(`everything works over TCP: ${name} on ${where}`, async () => {
        const serving = start({}, where === 'the client' ? {} : options);
        const { port } = await serving.message('listening');
        const dialing = start({ role: 'client', port: port as number }, where === 'the server' ? {} : options);
        for (const [peer, lacks] of [
          [serving, where !== 'the client'],
          [dialing, where !== 'the server'],
        ] as const) {
          const reports = await peer.messages('exchanged');
          expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
          expect(reports.length).toBe(2);
          for (const report of reports) {
            expect(report).toMatchObject({ received: LENGTH, transport: 'tcp' });
            const declines = report.declines as Declined[];
            const smcd = declines.filter((decline) => decline.transport === 'smcd');
            expect(smcd.length, JSON.stringify(declines)).toBe(1);
            expect(declines.map((decline) => decline.transport)).not.toContain('tcp');
            if (lacks) expect(smcd[0]).toMatchObject({ side: 'local', reason });
            expect(smcd[0]?.detail).not.toBe('');
          }
        }
      });
    }
  }
});
