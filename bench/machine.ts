// machine.ts - what the figures were measured on.

import { readFileSync } from 'node:fs';
import os from 'node:os';

export interface Machine {
  cpu: string;
  /** Cores this process may use. */
  cores: number;
  kernel: string;
  node: string;
  memory_gb: number;
  date: string;
  library: string;
  arguments: string;
}

export function describeMachine(argv: readonly string[]): Machine {
  const manifest = JSON.parse(readFileSync(new URL('../../packages/core/package.json', import.meta.url), 'utf8')) as {
    name: string;
    version: string;
  };
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    memory_gb: Math.round((os.totalmem() / 2 ** 30) * 10) / 10,
    date: new Date().toISOString(),
    library: `${manifest.name} ${manifest.version}`,
    arguments: argv.join(' '),
  };
}

/** The first CPU this process may run on. */
export function firstCpu(): number {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(allowed?.[1] ?? 0);
}
