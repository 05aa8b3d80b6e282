// ibverbs.ts - the provider that is libibverbs: devices of this machine, hardware or rdma_rxe.

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import type { VerbsDevice, VerbsProvider, VerbsUnavailable } from '../verbs-provider.js';
import { type Addon, isAddon, loadAddon } from './addon.js';
import { verbsError } from './checks.js';
import { IbvContext } from './context.js';

/** What the kernel tells of RDMA devices, and of those that processes can use. */
const DEVICES = '/sys/class/infiniband';
const USER_DEVICES = '/sys/class/infiniband_verbs';
/** Where processes open the latter. */
const NODES = '/dev/infiniband';

const NO_SUBSYSTEM = { reason: 'no-subsystem', detail: 'the kernel has no RDMA subsystem loaded' } as const;

class IbvDevice implements VerbsDevice {
  readonly name: string;
  readonly nodeGuid: string;
  readonly #addon: Addon;

  constructor(addon: Addon, name: string, nodeGuid: string) {
    this.#addon = addon;
    this.name = name;
    this.nodeGuid = nodeGuid;
  }

  open(): Promise<IbvContext> {
    return IbvContext.open(this.#addon, this);
  }
}

function list(directory: string): string[] {
  // 'abi_version' lies among the devices.
  return existsSync(directory) ? readdirSync(directory).filter((name) => name !== 'abi_version') : [];
}

/** Why a file cannot be opened for reading and writing: in a container it is often not there. */
function refusal(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `${path} cannot be opened (${(error as NodeJS.ErrnoException).code})`;
  }
}

class IbverbsProvider implements VerbsProvider {
  readonly name = 'libibverbs';

  /**
   * Looks at the machine before addon and library: most machines have no device, and then nothing is loaded. The addon alone was 7 %
   * of a process's first connect(), whatever the transport.
   */
  probe(): VerbsUnavailable | undefined {
    // Under Node's permission model a file that may not be looked at is not there.
    const sees = process.platform === 'linux' && !('permission' in process);
    if (sees && !existsSync(DEVICES)) return NO_SUBSYSTEM;
    const addon = loadAddon();
    if (!isAddon(addon)) return addon;
    if (!existsSync(DEVICES)) return NO_SUBSYSTEM;
    const present = list(DEVICES);
    if (present.length === 0) return { reason: 'no-device', detail: 'there is no RDMA device' };
    const user = list(USER_DEVICES);
    if (user.length === 0) {
      return { reason: 'no-device', detail: `${present.join(', ')} cannot be used by processes: module ib_uverbs is not loaded` };
    }
    const refused = user.map((name) => refusal(`${NODES}/${name}`));
    if (refused.every((one) => one !== undefined)) return { reason: 'permission', detail: refused.join('; ') };
    const why = addon.library();
    if (why !== undefined) return { reason: 'no-library', detail: why };
    const devices = addon.devices();
    if (typeof devices === 'number') return { reason: 'no-device', detail: `ibv_get_device_list failed (errno ${-devices})` };
    if (devices.length > 0) return undefined;
    return { reason: 'no-device', detail: `libibverbs has no provider for ${present.join(', ')} (Debian: package ibverbs-providers)` };
  }

  async devices(): Promise<readonly VerbsDevice[]> {
    const addon = loadAddon();
    if (!isAddon(addon) || list(USER_DEVICES).length === 0 || addon.library() !== undefined) return [];
    const devices = addon.devices();
    if (typeof devices === 'number') throw verbsError('EINVAL', 'ibv_get_device_list', `errno ${-devices}`);
    return devices.map(([name, guid]) => new IbvDevice(addon, name, guid));
  }
}

let provider: VerbsProvider | undefined;

/** The provider of this event loop. Never fails: `probe()` says why it cannot be used. */
export function ibverbs(): VerbsProvider {
  provider ??= new IbverbsProvider();
  return provider;
}

/** What the stall guard of this event loop has done (`QueuePair.guard`). */
export interface GuardCounters {
  /** How often it took over. */
  readonly stalls: number;
  /** TEST LINKs it answered then. */
  readonly answered: number;
  /** Completions it kept for the loop. */
  readonly kept: number;
}

/** Zeros where there is none. */
export function guardCounters(): GuardCounters {
  const addon = loadAddon();
  const [stalls = 0, answered = 0, kept = 0] = isAddon(addon) ? addon.guardCounters() : [];
  return { stalls, answered, kept };
}
