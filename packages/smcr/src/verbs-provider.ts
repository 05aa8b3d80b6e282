// verbs-provider.ts - the seam between the protocol and RDMA hardware: devices, memory, completion queues, RC queue pairs.
// Interfaces and layouts only. One provider is libibverbs; the tests have a simulated one with virtual time.
//
// Rules for every provider
// - Threads: all of it is used from one event loop. Control verbs may block in the kernel (modify_qp to RTR up to a second), so
//   they return promises; those of one queue pair take effect in the order of the calls. Post, poll and arm are synchronous, on
//   the loop, and allocate nothing.
// - Errors: a failing control verb rejects with an Error shaped like node's system errors: `code` is the POSIX name ('EINVAL',
//   'ENOMEM'), `syscall` the verb ('ibv_modify_qp'). A call on something destroyed rejects or throws with code 'EBADF'.
// - Open handles do not keep the event loop alive; a control verb under way does, as any request.
// - Tear-down: stop posting, queue pair to ERROR, poll until its requests are flushed, destroy the queue pair, then release its
//   memory. `VerbsContext.close` does the same for what is left, in that order.
// - Work requests and completions are records in memory the caller owns (see {@link SEND_WR}): 32-bit words in the byte order of
//   the machine, 64-bit addresses as two words, low half first. So no call needs an object or a bigint per message.

/** What a GID stands for. SMC-Rv2 uses 'rocev2', SMC-Rv1 'rocev1'. */
export type GidType = 'ib' | 'rocev1' | 'rocev2';

/** One entry of a port's GID table. */
export interface VerbsGid {
  /** Index in the table: `sgidIndex` of {@link RtrAttributes}. */
  readonly index: number;
  /** 16 bytes; RoCEv2 over IPv4: ::ffff:a.b.c.d. */
  readonly gid: Uint8Array;
  readonly type: GidType;
  /** The network interface it belongs to, undefined where the provider cannot tell. */
  readonly networkInterface: string | undefined;
  /** 6 bytes: the hardware address of that interface, zeros where unknown. */
  readonly mac: Uint8Array;
}

/** As `enum ibv_port_state`, in words. Only 'active' carries data. */
export type PortState = 'down' | 'init' | 'armed' | 'active' | 'active-defer' | 'nop';

/** 1..5 for 256, 512, 1024, 2048, 4096 bytes: the code of verbs and of CLC. */
export type MtuCode = 1 | 2 | 3 | 4 | 5;

export interface VerbsPort {
  /** From 1. */
  readonly number: number;
  readonly state: PortState;
  readonly linkLayer: 'ethernet' | 'infiniband' | 'unspecified';
  readonly activeMtu: MtuCode;
  /** Entries that are set; zero GIDs are left out. */
  readonly gids: readonly VerbsGid[];
}

export interface DeviceLimits {
  readonly maxQueuePairs: number;
  /** Outstanding work requests of one queue. */
  readonly maxWorkRequests: number;
  readonly maxCompletionEntries: number;
  readonly maxMemoryRegions: number;
  /** Bytes of one region. */
  readonly maxMemoryRegionBytes: number;
}

/** A device as listed, before it is opened. */
export interface VerbsDevice {
  /** 'rxe0', 'mlx5_0'. */
  readonly name: string;
  /** 16 hex digits. */
  readonly nodeGuid: string;
  open(): Promise<VerbsContext>;
}

/** Why a provider cannot work here: fits a decline's detail. */
export interface VerbsUnavailable {
  readonly reason: 'unsupported-os' | 'no-addon' | 'no-library' | 'no-subsystem' | 'no-device' | 'permission';
  /** One English line, with every attempt that was made. */
  readonly detail: string;
}

export interface VerbsProvider {
  readonly name: string;
  /** Undefined when there is at least one device. Cheap after the first call; opens nothing. */
  probe(): VerbsUnavailable | undefined;
  /** The devices there are now. Empty, not an error, when there are none. */
  devices(): Promise<readonly VerbsDevice[]>;
}

/** What happened to a device, port or queue pair outside of any work request (`ibv_get_async_event`, acknowledged by the provider). */
export type AsyncEvent =
  | { readonly type: 'port-active' | 'port-error' | 'gid-change' | 'lid-change' | 'pkey-change'; readonly port: number }
  | { readonly type: 'qp-fatal' | 'qp-request-error' | 'qp-access-error' | 'path-migrated'; readonly qpNumber: number }
  | { readonly type: 'cq-error' | 'device-fatal' | 'other' };

/** An open device. */
export interface VerbsContext {
  readonly device: VerbsDevice;
  readonly limits: DeviceLimits;
  readonly portCount: number;
  /** Called on the loop; never from inside a call of this interface. */
  onAsyncEvent: ((event: AsyncEvent) => void) | undefined;
  queryPort(number: number): Promise<VerbsPort>;
  allocatePd(): Promise<ProtectionDomain>;
  /** A completion queue with a completion channel of its own, not armed. `entries` is at least what fits. */
  createCompletionQueue(entries: number): Promise<CompletionQueue>;
  /** Destroys everything made from it that is still there, then the context. Idempotent. */
  close(): Promise<void>;
}

export interface ProtectionDomain {
  /**
   * Allocates and registers memory: zeroed, page-aligned, a shared mapping outside V8's heap that a fork does not inherit. Local
   * write always; remote write if asked for, with the address as base (so `rkey` and `address` are what goes into messages).
   * `mirrored` asks for the same pages twice in a row for this process, where the system allows it; `length` must then be a
   * multiple of the page size. Only the first `length` bytes are registered: an address never refers to the second half.
   */
  allocateMemory(length: number, options: { readonly remoteWrite: boolean; readonly mirrored?: boolean }): Promise<MemoryRegion>;
  /**
   * Registers memory that another protection domain of this provider allocated, for a second link over another device. The bytes
   * stay their owner's, whose release rejects with 'EBUSY' while registrations exist.
   */
  registerMemory(region: MemoryRegion, options: { readonly remoteWrite: boolean }): Promise<MemoryRegistration>;
  /** In state RESET. Both queues may share a completion queue. */
  createQueuePair(options: QueuePairOptions): Promise<QueuePair>;
  /** Rejects with 'EBUSY' while memory or queue pairs of it exist. */
  release(): Promise<void>;
}

/** Memory as one protection domain knows it. */
export interface MemoryRegistration {
  readonly lkey: number;
  /** 0 without remote write. */
  readonly rkey: number;
  /** Of byte 0, as local and remote address. */
  readonly address: bigint;
  /**
   * Deregisters. Until it is resolved a peer with the rkey can write the memory, unless the queue pair is in ERROR or destroyed
   * before: do that first.
   */
  release(): Promise<void>;
}

/** Memory and its first registration. Release deregisters, detaches `bytes` and unmaps, in this order. */
export interface MemoryRegion extends MemoryRegistration {
  /** `length` bytes, or twice that when mirrored. Has length 0 (detached) after release. */
  readonly bytes: Buffer;
  readonly length: number;
  readonly mirrored: boolean;
}

export interface QueuePairOptions {
  readonly sendQueue: CompletionQueue;
  readonly receiveQueue: CompletionQueue;
  /** Outstanding requests that must fit. */
  readonly maxSend: number;
  readonly maxReceive: number;
  /** Bytes for {@link SEND_FLAG}.inline; 0 for none. */
  readonly maxInline: number;
}

/** RESET to INIT. */
export interface InitAttributes {
  readonly port: number;
  readonly pkeyIndex: number;
  /** The peer may RDMA WRITE. Local write is always allowed. */
  readonly remoteWrite: boolean;
}

/** INIT to RTR. The kernel finds the hardware address of the peer from its GID. */
export interface RtrAttributes {
  readonly pathMtu: MtuCode;
  readonly destQpNumber: number;
  /** 24 bits: the peer's initial PSN. */
  readonly rqPsn: number;
  readonly maxDestRdAtomic: number;
  /** Code of the IB specification; 5 is 0.04 ms. */
  readonly minRnrTimer: number;
  readonly port: number;
  readonly sgidIndex: number;
  /** 16 bytes. */
  readonly dgid: Uint8Array;
  readonly hopLimit: number;
  readonly trafficClass: number;
}

/** RTR to RTS. */
export interface RtsAttributes {
  /** 24 bits: our initial PSN. */
  readonly sqPsn: number;
  /** 4.096 us << this; 0 is for ever. */
  readonly timeout: number;
  readonly retryCount: number;
  /** 7 is for ever. */
  readonly rnrRetry: number;
  readonly maxRdAtomic: number;
}

export type QueuePairState = 'reset' | 'init' | 'rtr' | 'rts' | 'sqd' | 'sqe' | 'error';

/** A reliable connected queue pair. */
export interface QueuePair {
  /** 24 bits. */
  readonly number: number;
  toInit(attributes: InitAttributes): Promise<void>;
  toRtr(attributes: RtrAttributes): Promise<void>;
  toRts(attributes: RtsAttributes): Promise<void>;
  /** From any state but RESET. All outstanding requests complete with {@link STATUS}.flushed. */
  toError(): Promise<void>;
  toReset(): Promise<void>;
  /** What the device says now. */
  queryState(): Promise<QueuePairState>;
  /** No completion of it is found by a poll after this is resolved. Idempotent. */
  destroy(): Promise<void>;
  /**
   * Posts the first `count` records of `requests` ({@link SEND_WR}) in order. Returns how many were taken: fewer when the queue
   * is full. In state ERROR they are taken and flushed.
   * @throws Error with code 'EINVAL' in states before RTS or for a record that cannot be; those before it were taken.
   */
  postSend(requests: Uint32Array, count: number): number;
  /** The same for receives ({@link RECEIVE_WR}), from INIT on. */
  postReceive(requests: Uint32Array, count: number): number;
  /**
   * Keeps the link of this queue pair alive while the event loop does not come round, from RTS until it is destroyed. Absent where
   * the provider cannot. See {@link StallGuardOptions}.
   * @throws Error with code 'EINVAL' when the two queues differ, or memory is too small
   */
  guard?(options: StallGuardOptions): void;
}

/**
 * What a thread of the provider does for a queue pair when the loop has not come round for half a second, although something completed:
 * it answers TEST LINK (for which a peer waits 2 s), keeps every other completion for the next poll, in order, and posts the receives
 * again, so that the peer's messages go on arriving; at most 65,536 or 16 MiB of one stall, then the adapters hold the peer
 * back (RNR). It uses the queue pair in that time and at no other; it sleeps on the completion channel. What it kept is told by
 * `onEvent`.
 *
 * From then on TEST LINK requests come with {@link COMPLETION_FLAG}.answered, stall or not: they have been sent back as they are, and
 * their bytes are where those of any message are. The caller has all receives of the queue
 * pair posted from `receive`, with ids from `firstReceive` on, and one send more than it uses itself (`maxSend`).
 */
export interface StallGuardOptions {
  /** First byte of a TEST LINK request: 0x07, or 0x27 in version 2. */
  readonly testLink: number;
  /** Slots of `receiveLength` bytes, the whole region; slot n is posted with the id `firstReceive` + n. */
  readonly receive: MemoryRegion;
  readonly receiveLength: number;
  readonly receiveSlots: number;
  readonly firstReceive: number;
  /** {@link GUARD_ANSWER} bytes of `answer` from `answerAt` on are the guard's. */
  readonly answer: MemoryRegion;
  readonly answerAt: number;
}

/** Bytes of memory that a guarded queue pair gives away. */
export const GUARD_ANSWER = 64;

export interface CompletionQueue {
  readonly entries: number;
  /**
   * The completion channel had an event (acknowledged by the provider). One call may stand for several events. Called on the
   * loop, never from inside a call of this interface; the queue is not armed then.
   */
  onEvent: (() => void) | undefined;
  /**
   * Fills `completions` ({@link COMPLETION}) from its start, up to its length; returns how many. Messages that a stall guard kept are put
   * into `kept`, which has room for one of the longest at least; fewer completions are returned when the next does not fit.
   */
  poll(completions: Uint32Array, kept?: Uint8Array): number;
  /**
   * Asks for one event at the next completion (`ibv_req_notify_cq`), or only for receives with the solicited bit and errors (rdma_rxe: of
   * receives). Poll again after it: what came in before has no event. Who has asked for all asks for no less before the event.
   */
  arm(solicitedOnly: boolean): void;
  /** Rejects with 'EBUSY' while queue pairs use it. */
  destroy(): Promise<void>;
}

/** A send request: offsets in 32-bit words. Scatter lists have one element. */
export const SEND_WR = {
  /** Comes back in the completion; the provider gives it no meaning. */
  id: 0,
  opcode: 1,
  flags: 2,
  /** RDMA WRITE with immediate, SEND with immediate: a number, put on the wire big-endian. */
  immediate: 3,
  localLow: 4,
  localHigh: 5,
  length: 6,
  lkey: 7,
  /** RDMA WRITE only. */
  remoteLow: 8,
  remoteHigh: 9,
  rkey: 10,
  /** Words of one record; the last is reserved and 0. */
  words: 12,
} as const;

/** The provider maps these to its own numbers. */
export const OPCODE = { rdmaWrite: 0, rdmaWriteWithImmediate: 1, send: 2, sendWithImmediate: 3 } as const;

export const SEND_FLAG = {
  /** A completion also on success. Without it only failures complete. */
  signaled: 1,
  solicited: 2,
  fence: 4,
  /** The bytes are copied while posting: their memory may be changed at once and needs no lkey. */
  inline: 8,
} as const;

/** A receive request: offsets in 32-bit words. */
export const RECEIVE_WR = {
  id: 0,
  lkey: 1,
  localLow: 2,
  localHigh: 3,
  length: 4,
  /** Words of one record; the rest is reserved and 0. */
  words: 8,
} as const;

/** A completion: offsets in 32-bit words. With a status but success only `id`, `status` and `qpNumber` (and `vendorError`) are valid. */
export const COMPLETION = {
  id: 0,
  status: 1,
  /** One of {@link COMPLETION_OPCODE}. */
  opcode: 2,
  /** Receives: bytes that arrived. */
  length: 3,
  /** See {@link COMPLETION_FLAG}. */
  flags: 4,
  /** The immediate; of a kept message where it lies in `kept`. */
  immediate: 5,
  qpNumber: 6,
  vendorError: 7,
  words: 8,
} as const;

export const COMPLETION_OPCODE = { send: 0, rdmaWrite: 1, receive: 2, receiveRdmaWithImmediate: 3 } as const;

export const COMPLETION_FLAG = {
  immediate: 1,
  /** The stall guard has posted the receive again: the message is in `kept` of the poll, not in its slot. */
  kept: 2,
  /** A TEST LINK request, which has its answer. */
  answered: 4,
} as const;

/** As `enum ibv_wc_status`; numbers not named here are passed on. */
export const STATUS = {
  success: 0,
  localLength: 1,
  localQpOperation: 2,
  localProtection: 4,
  /** The queue pair was in ERROR, or went there, before this was done. Not necessarily not done: the peer may have it. */
  flushed: 5,
  badResponse: 7,
  localAccess: 8,
  remoteInvalidRequest: 9,
  remoteAccess: 10,
  remoteOperation: 11,
  /** No acknowledgement after all retries: the path or the peer is gone. */
  retryExceeded: 12,
  rnrRetryExceeded: 13,
  fatal: 19,
  general: 21,
} as const;
