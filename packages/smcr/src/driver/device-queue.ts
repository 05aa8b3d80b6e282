// device-queue.ts - one completion queue of a link group on one device, with the links that use it.
//
// All links of a group on one device share it, sends and receives, so what completed first is seen first. Handling one completion may
// ask for those of the other devices to be handled before (see LinkGroupPort.drain), and those for the rest of this one's: the
// position is kept here, not in the loop.

import type { Link } from '../group/index.js';
import { LLC_MAX_LENGTH } from '../llc/index.js';
import { COMPLETION, COMPLETION_FLAG, type CompletionQueue, type ProtectionDomain, type VerbsContext } from '../verbs-provider.js';
import type { LinkQueue } from './link-queue.js';

/** A link with its queue pair. */
export interface LinkEntry {
  readonly link: Link;
  readonly queue: LinkQueue;
  readonly device: DeviceQueue;
  /** On its way out: receives still count, completions do not. */
  closing: boolean;
}

const BATCH = 32;

export class DeviceQueue {
  readonly pd: ProtectionDomain;
  readonly queue: CompletionQueue;
  /** Few: as many as there are links on this device. */
  readonly entries: LinkEntry[] = [];
  /** Messages that a stall guard kept, of the completions handed out now. */
  readonly kept = Buffer.alloc(2 * LLC_MAX_LENGTH);
  /** Polling or arming failed: whoever owns the device has closed it, or it is gone. Nothing completes any more. */
  broken = false;
  /** Armed for messages alone: what completes of ours has no event. */
  receivesOnly = false;
  /** Why, when it is the device. */
  error: Error | undefined;
  readonly #completions = new Uint32Array(BATCH * COMPLETION.words);
  #next = 0;
  #count = 0;
  /** Among those that were taken last is one that a stall guard kept. */
  #keptAny = false;

  private constructor(pd: ProtectionDomain, queue: CompletionQueue) {
    this.pd = pd;
    this.queue = queue;
  }

  /** `onEvent`: the completion channel woke the loop, and the queue is not armed; {@link rest} arms it. */
  static async open(
    context: VerbsContext,
    pd: ProtectionDomain,
    entries: number,
    onEvent: (device: DeviceQueue) => void,
  ): Promise<DeviceQueue> {
    const queue = await context.createCompletionQueue(entries);
    const device = new DeviceQueue(pd, queue);
    queue.onEvent = () => onEvent(device);
    device.rest(false);
    return device;
  }

  /**
   * Asks for an event at the next completion, or with `receives` at the next message only. What completed before has none: {@link poll}
   * again.
   */
  rest(receives: boolean): void {
    if (this.broken) return;
    this.receivesOnly = receives;
    try {
      this.queue.arm(receives);
    } catch (error) {
      this.#break(error);
    }
  }

  /** No event comes any more. All queue pairs that used it are destroyed. */
  async close(): Promise<void> {
    this.queue.onEvent = undefined;
    this.broken = true;
    await this.queue.destroy();
  }

  /**
   * Hands out completions until there are none; returns how many. `handle` gets the record and where it starts; it may call this
   * again.
   */
  poll(handle: (entry: LinkEntry, completions: Uint32Array, at: number) => void): number {
    for (let handled = 0; ; handled++) {
      if (this.#next === this.#count) {
        // Fewer than there was room for were all: who rests looks once more when the queue is armed.
        const all = this.#count > 0 && this.#count < BATCH && !this.#keptAny;
        this.#next = 0;
        this.#keptAny = false;
        this.#count = all ? 0 : this.#take();
        if (this.#count === 0) return handled;
      }
      const at = this.#next++ * COMPLETION.words;
      const entry = this.#entry(this.#completions[at + COMPLETION.qpNumber] as number);
      // Of kept ones there may be more than had room.
      if (((this.#completions[at + COMPLETION.flags] as number) & COMPLETION_FLAG.kept) !== 0) this.#keptAny = true;
      if (entry !== undefined) handle(entry, this.#completions, at);
    }
  }

  remove(entry: LinkEntry): void {
    const at = this.entries.indexOf(entry);
    if (at !== -1) this.entries.splice(at, 1);
  }

  #entry(number: number): LinkEntry | undefined {
    const { entries } = this;
    for (let i = 0; i < entries.length; i++) if (entries[i]?.queue.pair.number === number) return entries[i];
    return undefined;
  }

  #take(): number {
    if (this.broken) return 0;
    try {
      return this.queue.poll(this.#completions, this.kept);
    } catch (error) {
      this.#break(error);
      return 0;
    }
  }

  #break(error: unknown): void {
    this.broken = true;
    this.error = error as Error;
  }
}
