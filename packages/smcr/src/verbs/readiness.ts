// readiness.ts - what this machine lacks for SMC-R, most basic first: what the provider says, then ports and limits, which the
// kernel tells without a device being opened.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decline, decline } from '@smcjs/core/backend';
import type { VerbsProvider, VerbsUnavailable } from '../verbs-provider.js';

const DEVICES = '/sys/class/infiniband';

/** RMB, send memory and receive buffers of the first link group with rings of the default size, and as much again. */
const LEAST_LOCKED = 1 << 20;
const CAP_IPC_LOCK = 1n << 14n;

const REASON: Readonly<Record<VerbsUnavailable['reason'], Decline['reason']>> = {
  'unsupported-os': 'unsupported-os',
  'no-addon': 'no-addon',
  'no-library': 'no-library',
  'no-subsystem': 'no-device',
  'no-device': 'no-device',
  permission: 'permission',
};

/**
 * Why SMC-R cannot be used on this machine, by this process; undefined when all that can be known beforehand is there. `devices`: names
 * of those that may be used; none: all.
 */
export function lackingForSmcr(provider: VerbsProvider, devices: readonly string[] = []): Decline | undefined {
  const unavailable = provider.probe();
  if (unavailable !== undefined) return decline('smcr', 'local', REASON[unavailable.reason], unavailable.detail);
  const all = portStates();
  const ports = devices.length === 0 ? all : all.filter(({ device }) => devices.includes(device));
  if (ports.length === 0 && all.length > 0) {
    const there = [...new Set(all.map(({ device }) => device))].join(', ');
    return decline('smcr', 'local', 'no-device', noneNamed(devices, there));
  }
  if (!ports.some(({ state }) => state === 'ACTIVE')) {
    const detail = ports.map(({ port, state }) => `${port} is ${state}`).join(', ');
    return decline('smcr', 'local', 'no-active-port', detail === '' ? 'no port can be seen in /sys/class/infiniband' : detail);
  }
  const locked = lockable();
  if (locked < LEAST_LOCKED) {
    return decline('smcr', 'local', 'memlock', `${locked} bytes may be locked (RLIMIT_MEMLOCK), ${LEAST_LOCKED} are needed at least`);
  }
  return undefined;
}

/** None of the devices there are may be used. */
export const noneNamed = (names: readonly string[], there: string): string =>
  `none of the RDMA devices is in rdmaDevices (${names.join(', ')}); there are: ${there}`;

/** 'rxe0/1' and 'ACTIVE', 'DOWN' ... of every port there is. */
function portStates(): { device: string; port: string; state: string }[] {
  const read = (...names: string[]) => {
    try {
      return readFileSync(join(DEVICES, ...names), 'utf8').trim();
    } catch {
      return '';
    }
  };
  const list = (...names: string[]) => {
    try {
      return readdirSync(join(DEVICES, ...names));
    } catch {
      return [];
    }
  };
  // '4: ACTIVE'
  const state = (device: string, port: string) => read(device, 'ports', port, 'state').replace(/^\d+: /, '');
  return list().flatMap((device) =>
    list(device, 'ports').map((port) => ({ device, port: `${device}/${port}`, state: state(device, port) })),
  );
}

/** Bytes this process may lock; Infinity with CAP_IPC_LOCK, and where the kernel does not tell. */
function lockable(): number {
  try {
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    if ((BigInt(`0x${capabilities}`) & CAP_IPC_LOCK) !== 0n) return Number.POSITIVE_INFINITY;
    const limit = /^Max locked memory\s+(\d+)\s/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
