// quota.ts - processors that a control group leaves to a process, where there is a real one to be had: what of core/src/cores.ts decides
// whether polling pays. Run by quota.test.ts here, and by test/guest/quota.test.ts where there is always one.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { notRoot, skipFor } from './host.js';

const ROOT = '/sys/fs/cgroup';
/** Joins the group once it is loaded: with a fifth of a processor that takes long. */
const PROGRAM = `
import { writeFileSync } from 'node:fs';
import { usableCores } from '@smcjs/core/backend';
writeFileSync(process.argv[1] + '/cgroup.procs', '0');
console.log(usableCores());
`;

/** Why no group with a quota can be made, or undefined. Has the root hand its processors out, if nobody did. */
function lacking(): string | undefined {
  if (!existsSync(join(ROOT, 'cgroup.controllers'))) return `no cgroup file system of version 2 is mounted at ${ROOT}`;
  if (!readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').split(/\s/).includes('cpu'))
    return 'the cpu controller is not of cgroup version 2';
  try {
    accessSync(ROOT, constants.W_OK);
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu');
  } catch (error) {
    return `${ROOT} has no groups with quotas for us: ${(error as NodeJS.ErrnoException).code}`;
  }
  return undefined;
}

let made = 0;

/** A group with this `cpu.max`, gone with the test. */
function group(max: string, parent = ROOT): string {
  const path = join(parent, `smcjs-quota-${process.pid}-${++made}`);
  mkdirSync(path);
  onTestFinished(() => rmdirSync(path));
  writeFileSync(join(path, 'cpu.max'), max);
  return path;
}

/** What a process in this group takes for its processors. */
function cores(path: string): number {
  const args = ['--input-type=module', '--eval', PROGRAM, path];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8', cwd: join(import.meta.dirname, '..') }));
}

export function quotas(): void {
  describe('in a control group', () => {
    skipFor(notRoot() ?? lacking());

    it('a process has as many processors as its quota says, and fractions of one', () => {
      expect(cores(group('50000 100000'))).toBe(0.5);
      expect(cores(group('10000 50000'))).toBe(0.2);
      expect(cores(group('150000 100000'))).toBe(Math.min(availableParallelism(), 1.5));
    });

    it('a process has all of them without a quota, or with one above what there is', () => {
      expect(cores(group('max 100000'))).toBe(availableParallelism());
      expect(cores(group(`${(availableParallelism() + 1) * 100_000} 100000`))).toBe(availableParallelism());
    });

    it('the quota of every level above counts, too', () => {
      const above = group('50000 100000');
      writeFileSync(join(above, 'cgroup.subtree_control'), '+cpu');
      expect(cores(group('max 100000', above))).toBe(0.5);
      expect(cores(group('70000 100000', above))).toBe(0.5);
      expect(cores(group('20000 100000', above))).toBe(0.2);
    });
  });
}
