// context.ts - an open device.

import type {
  AsyncEvent,
  CompletionQueue,
  DeviceLimits,
  GidType,
  MtuCode,
  PortState,
  ProtectionDomain,
  VerbsContext,
  VerbsDevice,
  VerbsGid,
  VerbsPort,
} from '../verbs-provider.js';
import type { Addon, NativeContext, NativeGid } from './addon.js';
import { BITS8, check } from './checks.js';
import { IbvCompletionQueue } from './completion-queue.js';
import { IbvProtectionDomain } from './protection-domain.js';

const PORT_STATES: readonly PortState[] = ['nop', 'down', 'init', 'armed', 'active', 'active-defer'];
const LINK_LAYERS = ['unspecified', 'infiniband', 'ethernet'] as const;
const GID_TYPES: readonly GidType[] = ['ib', 'rocev1', 'rocev2'];

/** `enum ibv_event_type`: what the value that comes with it is, and our name of it. */
const PORT_EVENTS: Readonly<Record<number, 'port-active' | 'port-error' | 'lid-change' | 'pkey-change' | 'gid-change'>> = {
  9: 'port-active',
  10: 'port-error',
  11: 'lid-change',
  12: 'pkey-change',
  18: 'gid-change',
};
const PAIR_EVENTS: Readonly<Record<number, 'qp-fatal' | 'qp-request-error' | 'qp-access-error' | 'path-migrated'>> = {
  1: 'qp-fatal',
  2: 'qp-request-error',
  3: 'qp-access-error',
  6: 'path-migrated',
};

function asyncEvent(type: number, value: number): AsyncEvent {
  const port = PORT_EVENTS[type];
  if (port !== undefined) return { type: port, port: value };
  const pair = PAIR_EVENTS[type];
  if (pair !== undefined) return { type: pair, qpNumber: value };
  return { type: type === 0 ? 'cq-error' : type === 8 ? 'device-fatal' : 'other' };
}

/** Stays open, and keeps what was made from it, until it is closed or its event loop ends. */
export class IbvContext implements VerbsContext {
  readonly device: VerbsDevice;
  readonly limits: DeviceLimits;
  readonly portCount: number;
  onAsyncEvent: ((event: AsyncEvent) => void) | undefined = undefined;
  readonly #native: NativeContext;

  private constructor(device: VerbsDevice, native: NativeContext, [portCount, ...limits]: Awaited<ReturnType<NativeContext['open']>>) {
    const [maxQueuePairs, maxWorkRequests, maxCompletionEntries, maxMemoryRegions, maxMemoryRegionBytes] = limits;
    this.device = device;
    this.portCount = portCount;
    this.limits = { maxQueuePairs, maxWorkRequests, maxCompletionEntries, maxMemoryRegions, maxMemoryRegionBytes };
    this.#native = native;
  }

  static async open(addon: Addon, device: VerbsDevice): Promise<IbvContext> {
    let context: IbvContext | undefined;
    const native = new addon.Context(device.name, (type, value) => context?.onAsyncEvent?.(asyncEvent(type, value)));
    context = new IbvContext(device, native, await native.open());
    return context;
  }

  async queryPort(number: number): Promise<VerbsPort> {
    check('ibv_query_port', { number: [number, BITS8, 1] });
    const [state, linkLayer, activeMtu, gids] = await this.#native.queryPort(number);
    return {
      number,
      state: PORT_STATES[state] ?? 'nop',
      linkLayer: LINK_LAYERS[linkLayer] ?? 'unspecified',
      activeMtu: activeMtu as MtuCode,
      gids: gids.map(gidOf),
    };
  }

  async allocatePd(): Promise<ProtectionDomain> {
    return new IbvProtectionDomain(await this.#native.allocatePd());
  }

  async createCompletionQueue(entries: number): Promise<CompletionQueue> {
    check('ibv_create_cq', { entries: [entries, this.limits.maxCompletionEntries, 1] });
    let queue: IbvCompletionQueue | undefined;
    const native = await this.#native.createCompletionQueue(entries, () => queue?.onEvent?.());
    queue = new IbvCompletionQueue(native);
    return queue;
  }

  async close(): Promise<void> {
    await this.#native.close();
  }
}

function gidOf([index, gid, type, networkInterface, mac]: NativeGid): VerbsGid {
  return { index, gid, type: GID_TYPES[type] ?? 'ib', networkInterface: networkInterface === '' ? undefined : networkInterface, mac };
}
