// completion-queue.ts - a completion queue of a real device, with its completion channel.

import type { CompletionQueue } from '../verbs-provider.js';
import type { NativeCompletionQueue } from './addon.js';
import { verbsError } from './checks.js';

/** Polling and arming allocate nothing. */
export class IbvCompletionQueue implements CompletionQueue {
  readonly entries: number;
  onEvent: (() => void) | undefined = undefined;
  readonly #native: NativeCompletionQueue;

  constructor(native: NativeCompletionQueue) {
    this.#native = native;
    this.entries = native.entries();
  }

  /** The native side of a queue, for creating queue pairs; EINVAL for a queue of another provider. */
  static native(queue: CompletionQueue): NativeCompletionQueue {
    if (queue instanceof IbvCompletionQueue && #native in queue) return queue.#native;
    throw verbsError('EINVAL', 'ibv_create_qp', 'the completion queue is not one of this provider');
  }

  poll(completions: Uint32Array, kept?: Uint8Array): number {
    return this.#native.poll(completions, kept);
  }

  arm(solicitedOnly: boolean): void {
    this.#native.arm(solicitedOnly);
  }

  async destroy(): Promise<void> {
    await this.#native.destroy();
  }
}
