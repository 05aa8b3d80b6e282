// kernel-smc.ts - has a program's TCP sockets be the kernel's SMC, without its knowing.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeasureError } from '../errors.js';

const SOURCE = fileURLToPath(new URL('../../../scripts/guest/smc_preload.c', import.meta.url));

/** The library to preload, compiled into this directory when first asked for. @throws MeasureError `unavailable` */
export function kernelSmc(directory: string): string {
  if (!existsSync('/proc/sys/net/smc')) throw new MeasureError('unavailable', "this kernel's SMC is not loaded (modprobe smc)");
  const library = join(directory, 'smc_preload.so');
  if (existsSync(library)) return library;
  const { status, stderr, error } = spawnSync('cc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, SOURCE, '-ldl'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new MeasureError('unavailable', `${SOURCE} cannot be compiled: ${error?.message ?? stderr}`);
  return library;
}
