// protection-domain.ts - protection domains of a real device.

import type { MemoryRegion, MemoryRegistration, ProtectionDomain, QueuePair, QueuePairOptions } from '../verbs-provider.js';
import type { NativeProtectionDomain } from './addon.js';
import { BITS16, BITS32, check, verbsError } from './checks.js';
import { IbvCompletionQueue } from './completion-queue.js';
import { IbvMemoryRegion, IbvRegistration, nativeMemory } from './memory.js';
import { IbvQueuePair } from './queue-pair.js';

export class IbvProtectionDomain implements ProtectionDomain {
  readonly #native: NativeProtectionDomain;

  constructor(native: NativeProtectionDomain) {
    this.#native = native;
  }

  async allocateMemory(
    length: number,
    { remoteWrite, mirrored = false }: { remoteWrite: boolean; mirrored?: boolean },
  ): Promise<MemoryRegion> {
    check('ibv_reg_mr', { length: [length, Number.MAX_SAFE_INTEGER, 1] });
    const native = await this.#native.allocateMemory(length, remoteWrite, mirrored);
    const buffer = native.buffer(mirrored ? 2 * length : length);
    if (buffer === undefined) {
      await native.release();
      throw verbsError('ENOTSUP', 'ibv_reg_mr', 'this build of Node allows no external buffers');
    }
    return new IbvMemoryRegion(native, buffer, { length, remoteWrite, mirrored });
  }

  async registerMemory(region: MemoryRegion, { remoteWrite }: { remoteWrite: boolean }): Promise<MemoryRegistration> {
    const native = await this.#native.registerMemory(nativeMemory(region), remoteWrite);
    return new IbvRegistration(native, remoteWrite);
  }

  async createQueuePair({ sendQueue, receiveQueue, maxSend, maxReceive, maxInline }: QueuePairOptions): Promise<QueuePair> {
    const most = BITS16 * 16;
    check('ibv_create_qp', { maxSend: [maxSend, most, 1], maxReceive: [maxReceive, most, 1], maxInline: [maxInline, BITS32] });
    const queues = [IbvCompletionQueue.native(sendQueue), IbvCompletionQueue.native(receiveQueue)] as const;
    return new IbvQueuePair(await this.#native.createQueuePair(...queues, maxSend, maxReceive, maxInline));
  }

  async release(): Promise<void> {
    await this.#native.release();
  }
}
