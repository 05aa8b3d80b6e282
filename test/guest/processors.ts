// processors.ts - what has the kernel change its own code is done while one processor of the guest runs, see scripts/guest/boot.mjs.

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const DIRECTORY = '/sys/devices/system/cpu';

/** The processors to stop: of the guest, which are emulated, all but the first; of a machine with a device of its own, none. */
const others = (): string[] =>
  (existsSync('/run/guest') ? readdirSync(DIRECTORY) : [])
    .map((name) => join(DIRECTORY, name, 'online'))
    .filter((path) => /\/cpu\d+\/online$/.test(path) && existsSync(path));

/** Calls `change` with the others stopped. */
export function onOneProcessor(change: () => void): void {
  const stopped = others();
  for (const path of stopped) writeFileSync(path, '0');
  try {
    change();
  } finally {
    for (const path of stopped) writeFileSync(path, '1');
  }
}
