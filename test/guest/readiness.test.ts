// readiness.test.ts - a machine that lacks something for SMC-R is told what, with the exact reason. The guest's files and
// devices are taken away and put back: nothing else has them.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Decline } from '@smcjs/core';
import { expect, it, onTestFinished } from 'vitest';

const prober = join(import.meta.dirname, '../dist/guest/prober.js');

/** What a new process says, started by `wrapper` if given. */
function seen(...wrapper: string[]): Decline {
  const [program = '', ...args] = [...wrapper, process.execPath, prober];
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as Decline;
}

/** Moves a file out of its directory until the test is finished: libibverbs reads every file there, whatever its name. */
function takeAway(path: string): void {
  const away = join(path, '../..', `${basename(path)}.away`);
  renameSync(path, away);
  onTestFinished(() => renameSync(away, path));
}

function command(...args: [string, ...string[]]): void {
  execFileSync(args[0], args.slice(1), { stdio: 'inherit' });
}

function libraryFile(): string {
  const directory = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/lib/x86_64-linux-gnu', '/usr/lib'].find((one) =>
    existsSync(join(one, 'libibverbs.so.1')),
  );
  if (directory === undefined) throw new Error('libibverbs.so.1 is nowhere');
  return join(directory, 'libibverbs.so.1');
}

it('is ready with rxe0', () => {
  expect(seen()).toBeNull();
});

it('says that the addon cannot be loaded', () => {
  const detail = expect.stringContaining('/nowhere/smcr.node: ');
  expect(seen('env', 'SMC_VERBS_ADDON=/nowhere/smcr.node')).toMatchObject({ reason: 'no-addon', detail });
});

it('says that libibverbs is missing', () => {
  takeAway(libraryFile());
  expect(seen()).toMatchObject({
    reason: 'no-library',
    detail: expect.stringContaining('libibverbs.so.1'),
    hint: expect.stringContaining('install'),
  });
});

it('says that libibverbs has no provider for the device', () => {
  takeAway('/etc/libibverbs.d/rxe.driver');
  expect(seen()).toMatchObject({ reason: 'no-device', detail: 'libibverbs has no provider for rxe0 (Debian: package ibverbs-providers)' });
});

it('says that there is no device', () => {
  command('rdma', 'link', 'del', 'rxe0');
  onTestFinished(() => command('rdma', 'link', 'add', 'rxe0', 'type', 'rxe', 'netdev', 'lo'));
  expect(readdirSync('/sys/class/infiniband')).toEqual([]);
  expect(seen()).toMatchObject({ reason: 'no-device', detail: 'there is no RDMA device', hint: expect.stringContaining('rdma link add') });
});

it('says which device file cannot be opened', () => {
  takeAway('/dev/infiniband/uverbs0');
  expect(seen()).toMatchObject({ reason: 'permission', detail: '/dev/infiniband/uverbs0 cannot be opened (ENOENT)' });
});

it('says that none of the devices that may be used is there', () => {
  expect(seen('env', 'SMC_RDMA_DEVICES=rxe0')).toBeNull();
  expect(seen('env', 'SMC_RDMA_DEVICES=rxe7')).toMatchObject({
    reason: 'no-device',
    detail: 'none of the RDMA devices is in rdmaDevices (rxe7); there are: rxe0',
  });
});

it('says that no port is active', () => {
  command('ip', 'link', 'set', 'lo', 'down');
  onTestFinished(() => command('ip', 'link', 'set', 'lo', 'up'));
  expect(seen()).toMatchObject({ reason: 'no-active-port', detail: 'rxe0/1 is DOWN' });
});

it('says that too little memory may be locked', () => {
  const limited = ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', 'prlimit', '--memlock=65536:65536'];
  expect(seen(...limited)).toMatchObject({
    ...{ reason: 'memlock', detail: '65536 bytes may be locked (RLIMIT_MEMLOCK), 1048576 are needed at least' },
    hint: expect.stringContaining('ulimit -l'),
  });
});
