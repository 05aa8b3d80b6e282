// provider.ts - a VerbsProvider without hardware: hosts on a simulated fabric, in virtual time.

import type {
  AsyncEvent,
  CompletionQueue,
  DeviceLimits,
  MemoryRegion,
  MemoryRegistration,
  ProtectionDomain,
  QueuePair,
  QueuePairOptions,
  VerbsContext,
  VerbsDevice,
  VerbsPort,
  VerbsProvider,
} from '../../src/verbs-provider.js';
import { SimulatedQueue } from './completion-queue.js';
import type { Fabric } from './fabric.js';
import { HostMemory, systemError } from './memory.js';
import { SimulatedPair } from './queue-pair.js';

const LIMITS: DeviceLimits = {
  maxQueuePairs: 1024,
  maxWorkRequests: 4096,
  maxCompletionEntries: 65536,
  maxMemoryRegions: 65536,
  maxMemoryRegionBytes: 1 << 30,
};

/** IPv4-mapped GID of host 10.0.`device`.`host`. */
export const gidOf = (host: number, device: number): Uint8Array =>
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, device, host);

export class SimulatedContext implements VerbsContext {
  readonly device: VerbsDevice;
  readonly limits = LIMITS;
  readonly portCount = 1;
  readonly fabric: Fabric;
  readonly memory: HostMemory;
  readonly pairs = new Set<SimulatedPair>();
  readonly queues: SimulatedQueue[] = [];
  onAsyncEvent: ((event: AsyncEvent) => void) | undefined;
  /** Milliseconds a control verb takes. */
  controlTime = 0.05;
  /** Control verbs fail from now on: the device is gone. */
  broken = false;
  /** As rdma_rxe: receives that are posted in ERROR never complete. */
  deafInError = false;
  /** No queue pair is made. */
  refusesPairs = false;
  /** So many send buffers are still to be had; then there is no memory. */
  sendBuffersLeft = Number.POSITIVE_INFINITY;
  /** Milliseconds from an execution to its completion, at most. */
  completionDelay = 0;
  #portState: 'active' | 'down' = 'active';
  readonly #gid: Uint8Array;

  constructor(device: VerbsDevice, fabric: Fabric, memory: HostMemory, gid: Uint8Array) {
    this.device = device;
    this.fabric = fabric;
    this.memory = memory;
    this.#gid = gid;
  }

  gidOf(port: number): Uint8Array {
    if (port !== 1) throw systemError('EINVAL', 'ibv_query_gid');
    return this.#gid;
  }

  /** The device tells of it. */
  setPort(state: 'active' | 'down'): void {
    this.#portState = state;
    this.onAsyncEvent?.({ type: state === 'active' ? 'port-active' : 'port-error', port: 1 });
  }

  async control(): Promise<void> {
    await this.fabric.time.promise(this.controlTime);
    if (this.broken) throw systemError('EIO', 'ibv_modify_qp');
  }

  /** A completion comes into its queue, perhaps late, never before an earlier one. */
  #lastCompletion = 0;
  complete(queue: SimulatedQueue, record: number[], solicited = false): void {
    if (this.completionDelay === 0) return queue.add(record, solicited);
    const { time, random } = this.fabric;
    const at = Math.max(time.now() + (this.completionDelay * random.integer(0, 100)) / 100, this.#lastCompletion);
    this.#lastCompletion = at;
    time.after(at - time.now(), () => queue.add(record, solicited));
  }

  async queryPort(number: number): Promise<VerbsPort> {
    await this.control();
    const gid = { index: 1, gid: this.gidOf(number), type: 'rocev2' as const, networkInterface: 'sim', mac: new Uint8Array(6) };
    return { number, state: this.#portState, linkLayer: 'ethernet', activeMtu: 3, gids: [gid] };
  }

  async allocatePd(): Promise<ProtectionDomain> {
    await this.control();
    return new SimulatedDomain(this);
  }

  async createCompletionQueue(entries: number): Promise<CompletionQueue> {
    await this.control();
    const queue = new SimulatedQueue(this.fabric.time, entries);
    this.queues.push(queue);
    return queue;
  }

  async close(): Promise<void> {
    for (const queue of this.queues) await queue.destroy();
    for (const pair of [...this.pairs]) await pair.destroy();
  }
}

class SimulatedDomain implements ProtectionDomain {
  readonly #context: SimulatedContext;

  constructor(context: SimulatedContext) {
    this.#context = context;
  }

  async allocateMemory(length: number, { remoteWrite }: { remoteWrite: boolean }): Promise<MemoryRegion> {
    await this.#context.control();
    if (!remoteWrite && this.#context.sendBuffersLeft-- <= 0) throw systemError('ENOMEM', 'ibv_reg_mr');
    return this.#context.memory.allocate(this, length, remoteWrite);
  }

  async registerMemory(region: MemoryRegion, { remoteWrite }: { remoteWrite: boolean }): Promise<MemoryRegistration> {
    await this.#context.control();
    return this.#context.memory.register(this, region.bytes, remoteWrite);
  }

  async createQueuePair(options: QueuePairOptions): Promise<QueuePair> {
    await this.#context.control();
    if (this.#context.refusesPairs) throw systemError('ENOMEM', 'ibv_create_qp');
    const pair = new SimulatedPair(this.#context, this, options, nextNumber++);
    this.#context.pairs.add(pair);
    return pair;
  }

  async release(): Promise<void> {
    await this.#context.control();
  }
}

let nextNumber = 0x11;

/** A host with so many devices of one port each. */
export class SimulatedProvider implements VerbsProvider {
  readonly name = 'simulated';
  readonly contexts: readonly SimulatedContext[];

  constructor(fabric: Fabric, host: number, devices: number) {
    const memory = new HostMemory(host, () => fabric.time.promise(this.contexts[0]?.controlTime ?? 0));
    this.contexts = Array.from({ length: devices }, (_, i) => {
      const device: VerbsDevice = { name: `sim${i}`, nodeGuid: `${host}`.padStart(16, '0'), open: async () => context };
      const context: SimulatedContext = new SimulatedContext(device, fabric, memory, gidOf(host, i));
      return context;
    });
  }

  probe(): undefined {
    return undefined;
  }

  async devices(): Promise<readonly VerbsDevice[]> {
    return this.contexts.map(({ device }) => device);
  }
}
