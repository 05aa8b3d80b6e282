// processes.ts - the processes of the tests of named segments, and what the kernel says of the segments.

import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { attachNamed, type CreateNamedOptions, createNamed, type NamedEnd, segmentKey } from '@smcjs/core/named';
import { onTestFinished } from 'vitest';
import { event } from '../support/events.js';
import type { NamedOrder } from './partner.js';

const partner = fileURLToPath(new URL('../dist/named/partner.js', import.meta.url));

/** Why named segments cannot be tested here, if so. */
const unavailable: string | undefined = (() => {
  if (process.platform !== 'linux') return 'the tests look into /proc/sysvipc/shm';
  try {
    createRequire(new URL('../../packages/core/package.json', import.meta.url))('shm-typed-array');
    return undefined;
  } catch {
    return `shm-typed-array is not built for Node ${process.versions.node}`;
  }
})();

/** Of tests that need them. */
export const options = { skip: unavailable !== undefined, meta: { reason: unavailable } };

let count = 0;
/** A name of its own for each test; what the killed have left under it goes when the test ends, after its processes. */
export function freshName(): string {
  const name = `test ${process.pid} ${++count}`;
  onTestFinished(() => {
    if (mappings(name) === 0) shmPackage().destroy(segmentKey(name));
  });
  return name;
}

/** The package itself, for what this library would not do. */
export const shmPackage = (): {
  create(count: number, type: string, key: number, permissions: string): Int32Array | null;
  destroy(key: number): boolean;
} => createRequire(new URL('../../packages/core/package.json', import.meta.url))('shm-typed-array');

export function started(args: string[]): ChildProcess {
  const child = fork(partner, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  onTestFinished(() => killed(child));
  return child;
}

/** A process in this role that has opened its end. */
export async function partnerWith(name: string, opens: NamedOrder['opens'], role: NamedOrder['role']): Promise<ChildProcess> {
  const child = started([JSON.stringify({ name, opens, role } satisfies NamedOrder)]);
  const [said] = await event(child, 'message');
  if (said !== 'open') throw new Error(`the partner has not opened '${name}': ${JSON.stringify(said)}`);
  return child;
}

export function kept(end: NamedEnd): NamedEnd {
  end.on('error', () => {});
  onTestFinished(async () => {
    if (end.closed) return;
    const closed = event(end, 'close');
    end.destroy();
    await closed;
  });
  return end;
}

/** Our end as creator, or as attacher, and a process at the other end. */
export async function withPartner(
  role: NamedOrder['role'],
  ours: NamedEnd['role'] = 'creator',
  options: CreateNamedOptions = {},
): Promise<{ name: string; end: NamedEnd; child: ChildProcess }> {
  const name = freshName();
  if (ours === 'creator') {
    const end = kept(createNamed(name, { ringSize: 16_384, allowHalfOpen: true, ...options }));
    return { name, end, child: await partnerWith(name, 'attach', role) };
  }
  const child = await partnerWith(name, 'create', role);
  return { name, child, end: kept(await attachNamed(name, { allowHalfOpen: true, ...options })) };
}

/** Ends a process as the kernel does it when memory runs out. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = event(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Segments that this process has mapped. */
export const ownMappings = (): number => readFileSync('/proc/self/maps', 'utf8').match(/\/SYSV/g)?.length ?? 0;

/** How many have the segment of this name mapped; undefined when there is none. */
export function mappings(name: string): number | undefined {
  const [header = '', ...lines] = readFileSync('/proc/sysvipc/shm', 'utf8').trimEnd().split('\n');
  const column = header.trim().split(/\s+/).indexOf('nattch');
  const row = lines.map((line) => line.trim().split(/\s+/)).find(([key]) => Number(key) === (segmentKey(name) | 0));
  return row === undefined ? undefined : Number(row[column]);
}
