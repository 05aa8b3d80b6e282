// link-maker.ts - makes and unmakes queue pairs as Linux has them: RC, pkey index 0, remote write, path MTU the smaller of both ends.

import type { Link, LinkEnd } from '../group/index.js';
import type { LlcVersion } from '../llc/index.js';
import type { MtuCode, ProtectionDomain, QueuePair } from '../verbs-provider.js';
import type { DeviceQueue, LinkEntry } from './device-queue.js';
import { LinkQueue, SEND_QUEUE } from './link-queue.js';
import type { LinkPath } from './link-paths.js';
import { MessageSlots, RECEIVE_SLOTS } from './message-slots.js';

/** Completions that fit: every send and every receive of the links that share the queue. */
export const COMPLETION_ENTRIES = 3 * (SEND_QUEUE + RECEIVE_SLOTS);

/** Messages, and what they tell of, up to so many bytes go with their request: the adapter need not fetch them. */
const INLINE_BYTES = 128;
/** 0.04 ms, in the code of the specification. */
const MIN_RNR_TIMER = 5;
/** 4.096 us << 15 = 134 ms; with the retries a dead path shows after about a second. */
const ACK_TIMEOUT = 15;
/** One fewer than Linux asks for: rdma_rxe takes 7 for "without end", and a dead path would show by TEST LINK only. */
const RETRIES = 6;

export async function createEntry(link: Link, path: LinkPath, device: DeviceQueue, longMessages: boolean): Promise<LinkEntry> {
  const { pd } = path;
  const slots = await MessageSlots.allocate(pd, longMessages);
  try {
    const { pair, inline } = await createPair(pd, device);
    try {
      await pair.toInit({ port: path.port, pkeyIndex: 0, remoteWrite: true });
      const queue = new LinkQueue(pair, pd, slots, inline);
      // Before RTR: nothing can arrive that finds no receive.
      queue.postAllReceives();
      if (queue.broken) throw new Error('receives cannot be posted');
      const entry = { link, queue, device, closing: false };
      device.entries.push(entry);
      return entry;
    } catch (error) {
      await pair.destroy();
      throw error;
    }
  } catch (error) {
    await slots.release();
    throw error;
  }
}

/** With room for inline bytes, which not every device has. */
async function createPair(pd: ProtectionDomain, { queue }: DeviceQueue): Promise<{ pair: QueuePair; inline: number }> {
  const options = { sendQueue: queue, receiveQueue: queue, maxSend: SEND_QUEUE, maxReceive: RECEIVE_SLOTS };
  try {
    return { pair: await pd.createQueuePair({ ...options, maxInline: INLINE_BYTES }), inline: INLINE_BYTES };
  } catch {
    return { pair: await pd.createQueuePair({ ...options, maxInline: 0 }), inline: 0 };
  }
}

export function connectEntry({ link, queue }: LinkEntry, path: LinkPath): Promise<void> {
  const { peer } = link;
  if (peer === undefined) throw new Error('a link is connected to nobody');
  return queue.pair.toRtr({
    pathMtu: Math.min(path.mtu, peer.mtu) as MtuCode,
    destQpNumber: peer.qpNumber,
    rqPsn: peer.psn,
    maxDestRdAtomic: 1,
    minRnrTimer: MIN_RNR_TIMER,
    port: path.port,
    sgidIndex: path.gid.index,
    dgid: peer.gid,
    hopLimit: link.direct ? 1 : 64,
    trafficClass: 0,
  });
}

export async function activateEntry({ link, queue }: LinkEntry, version: LlcVersion): Promise<void> {
  const { psn } = link.own as LinkEnd;
  await queue.pair.toRts({ sqPsn: psn, timeout: ACK_TIMEOUT, retryCount: RETRIES, rnrRetry: 7, maxRdAtomic: 1 });
  queue.guard(version);
}

/** After `toError` and a last poll. */
export async function destroyEntry(entry: LinkEntry): Promise<void> {
  const { queue, device } = entry;
  try {
    await queue.pair.destroy();
  } finally {
    device.remove(entry);
  }
  await queue.slots.release();
}
