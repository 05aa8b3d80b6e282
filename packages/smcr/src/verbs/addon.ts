// addon.ts - the native binding of libibverbs: its typed surface and how it is found. What is here is for the files beside it:
// they check what they pass on.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { VerbsUnavailable } from '../verbs-provider.js';

/** See native/src/queue_pair.cc. */
export interface NativeQueuePair {
  number(): number;
  toInit(port: number, pkeyIndex: number, remoteWrite: boolean): Promise<void>;
  toRtr(...attributes: [...nine: number[], dgid: Uint8Array]): Promise<void>;
  toRts(sqPsn: number, timeout: number, retryCount: number, rnrRetry: number, maxRdAtomic: number): Promise<void>;
  /** ERROR or RESET. */
  toState(error: boolean): Promise<void>;
  queryState(): Promise<number>;
  postSend(requests: Uint32Array, count: number): number;
  /** {@link postSend} of these requests, which must be neither detached nor resized, for a third of its price. */
  sender(requests: Uint32Array): (count: number) => number;
  postReceive(requests: Uint32Array, count: number): number;
  /** 0 or -errno. */
  guard(
    testLink: number,
    receive: NativeMemoryRegion,
    slotBytes: number,
    slots: number,
    firstId: number,
    answer: NativeMemoryRegion,
    answerAt: number,
  ): number;
  destroy(): Promise<void>;
}

/** See native/src/completion_queue.cc. */
export interface NativeCompletionQueue {
  entries(): number;
  poll(completions: Uint32Array, kept?: Uint8Array): number;
  /** {@link poll} of these arrays, which must be neither detached nor resized, for a third of its price. */
  poller(completions: Uint32Array, kept?: Uint8Array): () => number;
  arm(solicitedOnly: boolean): void;
  destroy(): Promise<void>;
}

/** See native/src/memory.cc. */
export interface NativeMemoryRegion {
  keys(): [lkey: number, rkey: number, address: bigint];
  /** Once; undefined where V8 allows no external buffers. */
  buffer(bytes: number): ArrayBuffer | undefined;
  release(): Promise<void>;
}

/** See native/src/domain.cc. */
export interface NativeProtectionDomain {
  allocateMemory(length: number, remoteWrite: boolean, mirrored: boolean): Promise<NativeMemoryRegion>;
  /** Has no buffer of its own. */
  registerMemory(region: NativeMemoryRegion, remoteWrite: boolean): Promise<NativeMemoryRegion>;
  createQueuePair(
    sendQueue: NativeCompletionQueue,
    receiveQueue: NativeCompletionQueue,
    maxSend: number,
    maxReceive: number,
    maxInline: number,
  ): Promise<NativeQueuePair>;
  release(): Promise<void>;
}

export type NativeGid = [index: number, gid: Uint8Array, type: number, networkInterface: string, mac: Uint8Array];

/** See native/src/context.cc. */
export interface NativeContext {
  open(): Promise<
    [
      portCount: number,
      maxQueuePairs: number,
      maxWorkRequests: number,
      maxCompletionEntries: number,
      maxMemoryRegions: number,
      maxMemoryRegionBytes: number,
    ]
  >;
  queryPort(number: number): Promise<[state: number, linkLayer: number, activeMtu: number, gids: NativeGid[]]>;
  allocatePd(): Promise<NativeProtectionDomain>;
  createCompletionQueue(entries: number, onEvent: () => void): Promise<NativeCompletionQueue>;
  close(): Promise<void>;
}

export interface Addon {
  readonly Context: new (name: string, onAsyncEvent: (type: number, value: number) => void) => NativeContext;
  /** Why libibverbs cannot be used; undefined when it can. Loads it when first called. */
  library(): string | undefined;
  /** Negative: -errno. */
  devices(): [name: string, guid: string][] | number;
  /** bpf(2), see native/src/bpf.cc; negative: -errno. */
  bpf(command: number, attributes: Uint8Array, ...pointers: readonly (number | Uint8Array)[]): number;
  mountBpf(directory: string): number;
  unmount(directory: string): number;
  /** A TCP socket that is neither bound nor connected. */
  tcpSocket(family: 4 | 6): number;
  /** 1 when the socket listens. */
  listening(fd: number): number;
  /** Of this event loop, see native/src/stall_guard.h. */
  guardCounters(): [stalls: number, answered: number, kept: number];
  /** The process or worker has emitted 'exit': nothing is called back any more. */
  exiting(): void;
}

/** Where the addon may be: `SMC_VERBS_ADDON` alone if set, else what the package ships for this platform. */
function candidates(): string[] {
  const own = process.env.SMC_VERBS_ADDON;
  if (own !== undefined && own !== '') return [own];
  const base = `${process.platform}-${process.arch}`;
  return [base, `${base}-musl`].map((name) => fileURLToPath(new URL(`../../prebuilds/${name}/smcr.node`, import.meta.url)));
}

let loaded: Addon | VerbsUnavailable | undefined;

/** Loads the addon once per event loop; why not when it cannot be had. */
export function loadAddon(): Addon | VerbsUnavailable {
  loaded ??= tryLoad();
  return loaded;
}

export function isAddon(value: Addon | VerbsUnavailable): value is Addon {
  return 'Context' in value;
}

function tryLoad(): Addon | VerbsUnavailable {
  if (process.platform !== 'linux') return { reason: 'unsupported-os', detail: `RDMA verbs need Linux; this is ${process.platform}` };
  const require = createRequire(import.meta.url);
  const attempts: string[] = [];
  for (const path of candidates()) {
    try {
      const addon = require(path) as Addon;
      process.once('exit', () => addon.exiting());
      return addon;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_ACCESS_DENIED' || code === 'ERR_DLOPEN_DISABLED') return { reason: 'permission', detail: message };
      attempts.push(`${path}: ${message.split('\n')[0]}`);
    }
  }
  return { reason: 'no-addon', detail: attempts.join('; ') };
}
