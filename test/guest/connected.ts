// connected.ts - two queue pairs of one device in one process, connected to each other over its address, with memory for both.

import {
  COMPLETION,
  type CompletionQueue,
  ibverbs,
  type MemoryRegion,
  OPCODE,
  type ProtectionDomain,
  type QueuePair,
  RECEIVE_WR,
  SEND_FLAG,
  SEND_WR,
  type VerbsContext,
  type VerbsGid,
} from '@smcjs/smcr/verbs';
import { ADDRESS, DEVICE } from './place.js';

export async function openRxe(): Promise<VerbsContext> {
  const device = (await ibverbs().devices()).find(({ name }) => name === DEVICE);
  if (device === undefined) throw new Error(`no ${DEVICE}: ${ibverbs().probe()?.detail}`);
  return device.open();
}

/** The GID that is the address in RoCEv2: what SMC-Rv2 uses. */
export async function loopbackGid(context: VerbsContext): Promise<VerbsGid> {
  const { gids } = await context.queryPort(1);
  const wanted = `00000000000000000000ffff${Buffer.from(ADDRESS.split('.').map(Number)).toString('hex')}`;
  const found = gids.find(({ type, gid }) => type === 'rocev2' && Buffer.from(gid).toString('hex') === wanted);
  if (found === undefined) throw new Error(`no GID of ${ADDRESS} among ${gids.length}`);
  return found;
}

export interface End {
  readonly pair: QueuePair;
  readonly queue: CompletionQueue;
  readonly memory: MemoryRegion;
}

export interface Connected {
  readonly context: VerbsContext;
  readonly domain: ProtectionDomain;
  readonly left: End;
  readonly right: End;
}

export interface Wishes {
  bytes?: number;
  maxSend?: number;
  maxReceive?: number;
  maxInline?: number;
  rnrRetry?: number;
  timeout?: number;
  retryCount?: number;
}

export async function makeEnd(context: VerbsContext, domain: ProtectionDomain, wishes: Wishes = {}): Promise<End> {
  const { bytes = 65536, maxSend = 64, maxReceive = 64, maxInline = 0 } = wishes;
  const queue = await context.createCompletionQueue(maxSend + maxReceive);
  const pair = await domain.createQueuePair({ sendQueue: queue, receiveQueue: queue, maxSend, maxReceive, maxInline });
  const memory = await domain.allocateMemory(bytes, { remoteWrite: true });
  return { pair, queue, memory };
}

/** RESET to RTS. */
export async function toRts(pair: QueuePair, peer: number, gid: VerbsGid, wishes: Wishes = {}): Promise<void> {
  const { rnrRetry = 7, timeout = 15, retryCount = 7 } = wishes;
  await pair.toInit({ port: 1, pkeyIndex: 0, remoteWrite: true });
  const path = { port: 1, sgidIndex: gid.index, dgid: gid.gid, hopLimit: 1, trafficClass: 0, pathMtu: 3 as const };
  await pair.toRtr({ ...path, destQpNumber: peer, rqPsn: 1000, maxDestRdAtomic: 1, minRnrTimer: 5 });
  await pair.toRts({ sqPsn: 1000, timeout, retryCount, rnrRetry, maxRdAtomic: 1 });
}

export async function connectPair(wishes: Wishes = {}): Promise<Connected> {
  const context = await openRxe();
  const gid = await loopbackGid(context);
  const domain = await context.allocatePd();
  const left = await makeEnd(context, domain, wishes);
  const right = await makeEnd(context, domain, wishes);
  await toRts(left.pair, right.pair.number, gid, wishes);
  await toRts(right.pair, left.pair.number, gid, wishes);
  return { context, domain, left, right };
}

const words = (address: bigint) => [Number(address & 0xffff_ffffn), Number(address >> 32n)] as const;

export interface Send {
  id?: number;
  opcode?: number;
  flags?: number;
  immediate?: number;
  from: MemoryRegion;
  offset?: number;
  length: number;
  lkey?: number;
  to?: { readonly address: bigint; readonly rkey: number };
}

/** Records of SEND_WR. */
export function sends(...list: Send[]): Uint32Array {
  const all = new Uint32Array(SEND_WR.words * list.length);
  list.forEach((one, i) => {
    const record = all.subarray(i * SEND_WR.words);
    record[SEND_WR.id] = one.id ?? 0;
    record[SEND_WR.opcode] = one.opcode ?? OPCODE.send;
    record[SEND_WR.flags] = one.flags ?? SEND_FLAG.signaled;
    record[SEND_WR.immediate] = one.immediate ?? 0;
    [record[SEND_WR.localLow], record[SEND_WR.localHigh]] = words(one.from.address + BigInt(one.offset ?? 0)) as [number, number];
    record[SEND_WR.length] = one.length;
    record[SEND_WR.lkey] = one.lkey ?? one.from.lkey;
    [record[SEND_WR.remoteLow], record[SEND_WR.remoteHigh]] = words(one.to?.address ?? 0n) as [number, number];
    record[SEND_WR.rkey] = one.to?.rkey ?? 0;
  });
  return all;
}

/** Records of RECEIVE_WR: `count` slots of `length` bytes from `offset` on, with ids 0, 1, ... */
export function receives(memory: MemoryRegion, offset: number, length: number, count: number): Uint32Array {
  const all = new Uint32Array(RECEIVE_WR.words * count);
  for (let i = 0; i < count; i++) {
    const record = all.subarray(i * RECEIVE_WR.words);
    record[RECEIVE_WR.id] = i;
    record[RECEIVE_WR.lkey] = memory.lkey;
    [record[RECEIVE_WR.localLow], record[RECEIVE_WR.localHigh]] = words(memory.address + BigInt(offset + i * length)) as [number, number];
    record[RECEIVE_WR.length] = length;
  }
  return all;
}

export type Completion = Record<Exclude<keyof typeof COMPLETION, 'words'>, number>;

const buffer = new Uint32Array(COMPLETION.words * 64);

/** What a poll finds now. */
export function poll(queue: CompletionQueue): Completion[] {
  const count = queue.poll(buffer);
  return Array.from({ length: count }, (_, i) => {
    const word = (offset: number) => buffer[i * COMPLETION.words + offset] as number;
    const { words: _words, ...fields } = COMPLETION;
    return Object.fromEntries(Object.entries(fields).map(([name, offset]) => [name, word(offset)])) as Completion;
  });
}

/** Waits for `count` completions, with turns of the loop in between. */
export async function completions(queue: CompletionQueue, count: number): Promise<Completion[]> {
  const all: Completion[] = [];
  while (all.length < count) {
    all.push(...poll(queue));
    if (all.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return all;
}
