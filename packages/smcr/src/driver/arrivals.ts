// arrivals.ts - what a completion says: a message of the peer is there, one of ours has arrived, or the link is of no use any more.

import { CDC_TYPE, emptyCdc, readCdc } from '../cdc/index.js';
import type { Link, LinkGroup } from '../group/index.js';
import { COMPLETION, COMPLETION_FLAG, STATUS } from '../verbs-provider.js';
import type { Clock } from './clock.js';
import type { Completions } from './completions.js';
import type { LinkEntry } from './device-queue.js';
import { receiveSlot } from './link-queue.js';
import { traceLlc } from './trace.js';

/** Who hears of what is no message. */
export interface ArrivalEvents {
  /** What was sent from this slot has arrived. */
  sent(entry: LinkEntry, slot: number): void;
  /** `status`: of the completion that says so. */
  failed(link: Link, status: number): void;
}

/** Allocates nothing for a message of a connection. */
export class Arrivals {
  readonly #group: LinkGroup;
  readonly #completions: Completions;
  readonly #clock: Clock;
  readonly #events: ArrivalEvents;
  /** One per level: handling a message may need those of other links first. */
  readonly #cdcs = [emptyCdc(), emptyCdc(), emptyCdc(), emptyCdc()];
  readonly #askTime = (): number => this.#clock.now();

  constructor(group: LinkGroup, completions: Completions, clock: Clock, events: ArrivalEvents) {
    this.#group = group;
    this.#completions = completions;
    this.#clock = clock;
    this.#events = events;
  }

  /** One record of a completion queue, which begins at `at`. */
  completed(entry: LinkEntry, completions: Uint32Array, at: number): void {
    const id = completions[at + COMPLETION.id] as number;
    const slot = receiveSlot(id);
    const status = completions[at + COMPLETION.status] as number;
    const success = status === STATUS.success;
    const flags = completions[at + COMPLETION.flags] as number;
    // Of a message that was kept the receive is posted again.
    const kept = success && (flags & COMPLETION_FLAG.kept) !== 0;
    if (slot !== -1 && !kept) entry.queue.completedReceive(success);
    if (!success) {
      if (!entry.closing) this.#events.failed(entry.link, status);
      return;
    }
    if (slot === -1) return this.#events.sent(entry, id);
    const { queue, device } = entry;
    const length = completions[at + COMPLETION.length] as number;
    const answered = (flags & COMPLETION_FLAG.answered) !== 0;
    if (kept) this.#received(entry, device.kept, completions[at + COMPLETION.immediate] as number, length, answered);
    else this.#received(entry, queue.slots.receive.bytes, slot * queue.slots.receiveLength, length, answered);
    if (!kept) queue.received(slot);
  }

  #received({ link, closing }: LinkEntry, bytes: Buffer, at: number, length: number, answered: boolean): void {
    if (bytes[at] === CDC_TYPE) {
      const cdc = (this.#cdcs[this.#completions.depth] ??= emptyCdc());
      if (readCdc(bytes, at, length, cdc)) this.#group.receivedCdc(link, cdc, this.#askTime);
    } else if (!closing) {
      const message = new Uint8Array(bytes.subarray(at, at + length));
      traceLlc('gets', this.#group, link, message);
      this.#group.receivedLlc(link, message, this.#clock.now(), answered);
    }
  }
}
