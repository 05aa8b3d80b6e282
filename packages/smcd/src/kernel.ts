// kernel.ts - what SMC-D needs of the kernel, tried once per event loop: sealed memory that can be mapped twice.

import { getSystemErrorName } from 'node:util';
import { type Decline, decline } from '@smcjs/core/backend';
import type { Addon } from './addon.js';

let looked = false;
let lacking: Decline | undefined;

/** Why this kernel cannot do it; undefined when it can. Leaves nothing behind. */
export function kernelLacks(addon: Addon): Decline | undefined {
  if (!looked) lacking = tryMapping(addon);
  looked = true;
  return lacking;
}

function tryMapping(addon: Addon): Decline | undefined {
  const fail = (what: string, result: number) => decline('smcd', 'local', 'old-kernel', `${what}: ${getSystemErrorName(result)}`);
  const bytes = 65536;
  const fd = addon.createSegment(bytes);
  if (fd < 0) return fail('sealed memfd', fd);
  try {
    const segment = addon.mapSegment(fd, bytes);
    if (typeof segment === 'number') return fail('shared mapping as an external ArrayBuffer', segment);
    const mirror = addon.mirror(segment, 0, bytes);
    if (typeof mirror === 'number') {
      addon.unmap(segment);
      return fail('second mapping of shared memory', mirror);
    }
    const [once, twice] = [new Uint8Array(segment), new Uint8Array(mirror)];
    once[1] = 1;
    const works = twice[1] === 1 && twice[bytes + 1] === 1;
    addon.unmap(mirror);
    addon.unmap(segment);
    return works ? undefined : decline('smcd', 'local', 'old-kernel', 'memory mapped twice does not show the same bytes');
  } finally {
    addon.closeDescriptor(fd);
  }
}
