// completion-queue.ts - a completion queue of a real device, with its completion channel.

import type { CompletionQueue } from '../verbs-provider.js';
import type { NativeCompletionQueue } from './addon.js';
import { lengthOf, verbsError } from './checks.js';

/** A poll into arrays that have come twice in a row. */
class BoundPoll {
  readonly poll: () => number;
  readonly #length: number;
  readonly #keptLength: number;

  constructor(native: NativeCompletionQueue, completions: Uint32Array, kept: Uint8Array | undefined) {
    this.poll = native.poller(completions, kept);
    this.#length = lengthOf(completions);
    this.#keptLength = kept === undefined ? 0 : lengthOf(kept);
  }

  /** Lengths change when an array is detached, and its memory is somebody else's then. */
  holds(completions: Uint32Array, kept: Uint8Array | undefined): boolean {
    return lengthOf(completions) === this.#length && (kept === undefined || lengthOf(kept) === this.#keptLength);
  }
}

/** Polling with the same arrays, and arming, allocate nothing. */
export class IbvCompletionQueue implements CompletionQueue {
  readonly entries: number;
  onEvent: (() => void) | undefined = undefined;
  readonly #native: NativeCompletionQueue;
  /** Of the poll before. */
  #completions: Uint32Array | undefined;
  #kept: Uint8Array | undefined;
  /** For these two. */
  #bound: BoundPoll | undefined;

  constructor(native: NativeCompletionQueue) {
    this.#native = native;
    this.entries = native.entries();
  }

  /** The native side of a queue, for creating queue pairs; EINVAL for a queue of another provider. */
  static native(queue: CompletionQueue): NativeCompletionQueue {
    if (queue instanceof IbvCompletionQueue && #native in queue) return queue.#native;
    throw verbsError('EINVAL', 'ibv_create_qp', 'the completion queue is not one of this provider');
  }

  /** Most polls find nothing, and go into the same arrays as the one before. */
  poll(completions: Uint32Array, kept?: Uint8Array): number {
    const again = completions === this.#completions && kept === this.#kept;
    if (again && this.#bound?.holds(completions, kept)) return this.#bound.poll();
    this.#forget();
    // Looks whether they are what they should be.
    const count = this.#native.poll(completions, kept);
    if (again) this.#bound = new BoundPoll(this.#native, completions, kept);
    this.#completions = completions;
    this.#kept = kept;
    return count;
  }

  arm(solicitedOnly: boolean): void {
    this.#native.arm(solicitedOnly);
  }

  async destroy(): Promise<void> {
    this.#forget();
    await this.#native.destroy();
  }

  #forget(): void {
    this.#completions = this.#kept = this.#bound = undefined;
  }
}
