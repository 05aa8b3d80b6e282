// without-smcd.test.ts - where shared memory cannot be had everything works over TCP, and each side says why.

import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Decline, REASONS } from '@smcjs/core';
import { afterAll, describe, expect, it } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { Peer, type PeerOptions } from '../support/peer.js';
import { payload } from '../support/random.js';
import { commandMissing } from '../surroundings/host.js';

const LENGTH = 300_000;
const MAJOR = Number(process.versions.node.split('.')[0]);
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';

const OPEN = mkdtempSync(join(tmpdir(), 'smc-open-'));
chmodSync(OPEN, 0o777);
afterAll(() => rmSync(OPEN, { recursive: true, force: true }));

interface Situation {
  readonly name: string;
  readonly options: PeerOptions;
  readonly reason: keyof typeof REASONS;
  /** What the detail says. */
  readonly detail?: string;
  /** Why it cannot be brought about. */
  readonly missing?: string | undefined;
}

/** Node on a kernel that answers one system call as an old one does. */
const onOldKernel = (call: 'memfd_create' | 'seals'): PeerOptions => ({
  execPath: 'python3',
  execArgv: [join(import.meta.dirname, '../peers/old-kernel.py'), call, process.execPath],
});
const noFilter = commandMissing('python3') ?? (['x64', 'arm64'].includes(process.arch) ? undefined : 'no numbers of system calls for it');
/** Before anything of ours is loaded. */
const elsewhere = "data:text/javascript,Object.defineProperty(process, 'platform', { value: 'freebsd' })";

const SITUATIONS: readonly Situation[] = [
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
  {
    name: 'a relative runtime directory',
    options: { env: { SMC_RUNTIME_DIR: 'smc' } },
    reason: 'runtime-dir',
    detail: 'must be absolute',
  },
  { name: 'a runtime directory that is a file', options: { env: { SMC_RUNTIME_DIR: process.execPath } }, reason: 'runtime-dir' },
  {
    name: 'a kernel without memfd_create',
    options: onOldKernel('memfd_create'),
    reason: 'old-kernel',
    detail: 'sealed memfd: ENOSYS',
    missing: noFilter,
  },
  {
    name: 'a kernel that seals no memory',
    options: onOldKernel('seals'),
    reason: 'old-kernel',
    detail: 'sealed memfd: EINVAL',
    missing: noFilter,
  },
  {
    name: 'an operating system that is not Linux',
    options: { execArgv: ['--import', elsewhere] },
    reason: 'unsupported-os',
    detail: 'SMC-D needs Linux; this is freebsd',
  },
];

/** What a side has received when it got the stream of the other role, whole and in order. */
const digestOf = (from: 'client' | 'server', clientPort: number): string =>
  createHash('sha256')
    .update(payload(clientPort * 2 + (from === 'server' ? 1 : 0), LENGTH))
    .digest('hex');

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
  for (const { name, options, reason, detail = '', missing } of SITUATIONS) {
    for (const where of ['both sides', 'the client', 'the server'] as const) {
      it(`everything works over TCP: ${name} on ${where}`, async (context) => {
        context.skip(missing !== undefined, missing);
        const serving = start({}, where === 'the client' ? {} : options);
        const { port } = await serving.message('listening');
        const dialing = start({ role: 'client', port: port as number }, where === 'the server' ? {} : options);
        for (const [peer, lacks, other] of [
          [serving, where !== 'the client', 'client'],
          [dialing, where !== 'the server', 'server'],
        ] as const) {
          const reports = await peer.messages('exchanged');
          expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
          expect(reports.length).toBe(2);
          for (const report of reports) {
            const sha256 = digestOf(other, report.clientPort as number);
            expect(report).toMatchObject({ received: LENGTH, sha256, transport: 'tcp' });
            const declines = report.declines as Decline[];
            const smcd = declines.filter((decline) => decline.transport === 'smcd');
            expect(smcd.length, JSON.stringify(declines)).toBe(1);
            expect(declines.map((decline) => decline.transport)).not.toContain('tcp');
            const { code, hint } = REASONS[reason];
            if (lacks) expect(smcd[0]).toMatchObject({ side: 'local', reason, code, hint });
            if (lacks) expect(smcd[0]?.detail).toContain(detail);
            expect(smcd[0]?.detail).not.toBe('');
          }
        }
      });
    }
  }
});
