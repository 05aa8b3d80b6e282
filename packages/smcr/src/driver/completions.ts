// completions.ts - the completion queues of one link group: when they are looked at, and when their channels wake the loop instead.
//
// Woken by the channel: everything that completed is handled, then the queue is armed and looked at once more. While the owner polls
// (`stayAwake`) queues are not armed; `sleep` arms them again. They are armed for messages of the peer alone unless somebody waits for
// something of ours to complete: else each message would wake this side twice, once by its acknowledgement.

import type { Link } from '../group/index.js';
import type { VerbsContext } from '../verbs-provider.js';
import { DeviceQueue, type LinkEntry } from './device-queue.js';
import { COMPLETION_ENTRIES } from './link-maker.js';
import type { LinkPath } from './link-paths.js';

/** Who handles completions. */
export interface CompletionHandler {
  completion(entry: LinkEntry, completions: Uint32Array, at: number): void;
  /** The link is of no use; told within a call of {@link Completions.poll} or not. */
  broken(link: Link, error?: Error): void;
  /** No completion is being handled any more: what was put off can happen. */
  settled(): void;
  /** A channel has woken the loop: what completed is handled now. */
  waking(): void;
  /** It has been. */
  woken(): void;
  /** Does anybody wait for something of ours to complete? */
  waits(): boolean;
}

export class Completions {
  /** Times a channel woke the loop. */
  wakeUps = 0;
  /** Handling one completion may need those of other devices first: how deep we are in. */
  depth = 0;
  readonly #handler: CompletionHandler;
  readonly #devices = new Map<VerbsContext, Promise<DeviceQueue>>();
  readonly #open: DeviceQueue[] = [];
  #awake = false;
  readonly #onCompletion = (entry: LinkEntry, completions: Uint32Array, at: number): void =>
    this.#handler.completion(entry, completions, at);

  constructor(handler: CompletionHandler) {
    this.#handler = handler;
  }

  /** The queue of a device, made when first asked for. */
  device({ context, pd }: LinkPath): Promise<DeviceQueue> {
    const known = this.#devices.get(context);
    if (known !== undefined) return known;
    const made = DeviceQueue.open(context, pd, COMPLETION_ENTRIES, (device) => this.#woken(device));
    made.then(
      (device) => this.#open.push(device),
      () => this.#devices.delete(context),
    );
    this.#devices.set(context, made);
    return made;
  }

  /** Queues that {@link look} looks at. */
  get queues(): number {
    return this.#open.length;
  }

  /** The owner polls by {@link look}, and the channels are silent, until {@link sleep}. */
  stayAwake(): void {
    this.#awake = true;
  }

  /** Handles what has completed; returns how many completions there were. */
  look(except?: DeviceQueue): number {
    let handled = 0;
    for (const device of this.#open) if (device !== except) handled += this.poll(device);
    return handled;
  }

  /** The owner polls no more: the channels wake it. */
  sleep(): void {
    this.#awake = false;
    for (const device of [...this.#open]) this.#rest(device);
  }

  /** From now on somebody waits for something of ours to complete: queues that are armed are armed for that, too. */
  wait(): void {
    for (const device of this.#open) {
      if (!device.receivesOnly || this.#awake || this.depth > 0) continue;
      device.rest(false);
      // What has completed before has no event.
      queueMicrotask(() => this.poll(device));
    }
  }

  /** Returns how many completions were handled. */
  poll(device: DeviceQueue): number {
    this.depth++;
    let handled = 0;
    try {
      handled = device.poll(this.#onCompletion);
      // Who polls mostly finds nothing.
      if (handled > 0 || device.broken) this.#tidy(device);
    } finally {
      this.depth--;
    }
    this.#handler.settled();
    return handled;
  }

  /** The queue pairs are gone. */
  async destroy(): Promise<void> {
    for (const device of this.#open.splice(0)) {
      // A device that is gone fails everything that takes it down.
      await device.close().catch(() => {});
    }
  }

  #woken(device: DeviceQueue): void {
    this.wakeUps++;
    this.#handler.waking();
    try {
      this.poll(device);
    } finally {
      // Has programs told, too: their answers do not wait for the queue being armed.
      this.#handler.woken();
    }
    if (!this.#awake) this.#rest(device);
  }

  /** Posts receives for those that completed, and tells of queues that are of no use any more. */
  #tidy(device: DeviceQueue): void {
    const { entries } = device;
    for (let i = 0; i < entries.length; i++) {
      const { link, queue, closing } = entries[i] as LinkEntry;
      if (closing) continue;
      queue.postReceives();
      if (queue.broken || device.broken) this.#handler.broken(link, device.error);
    }
  }

  #rest(device: DeviceQueue): void {
    device.rest(!this.#handler.waits());
    this.poll(device);
  }
}
