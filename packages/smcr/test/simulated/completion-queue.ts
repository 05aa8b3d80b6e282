// completion-queue.ts - a simulated completion queue with its channel.

import { COMPLETION, type CompletionQueue } from '../../src/verbs-provider.js';
import { systemError } from './memory.js';
import type { VirtualTime } from './virtual-time.js';

export class SimulatedQueue implements CompletionQueue {
  readonly entries: number;
  onEvent: (() => void) | undefined;
  readonly #time: VirtualTime;
  #completions: number[][] = [];
  #armed: 'no' | 'all' | 'solicited' = 'no';
  #destroyed = false;
  overrun = false;

  constructor(time: VirtualTime, entries: number) {
    this.#time = time;
    this.entries = entries;
  }

  /** A queue that is armed for what is solicited tells of nothing else, not even of errors: so does rdma_rxe. */
  add(record: number[], solicited: boolean): void {
    if (this.#completions.length === this.entries) this.overrun = true;
    this.#completions.push(record);
    if (this.#armed === 'no' || (this.#armed === 'solicited' && !solicited)) return;
    this.#armed = 'no';
    this.#time.after(0, () => {
      if (!this.#destroyed) this.onEvent?.();
    });
  }

  /** The queue pair is destroyed. */
  forget(qpNumber: number): void {
    this.#completions = this.#completions.filter((record) => record[COMPLETION.qpNumber] !== qpNumber);
  }

  poll(completions: Uint32Array): number {
    if (this.#destroyed) throw systemError('EBADF', 'ibv_poll_cq');
    const count = Math.min(this.#completions.length, completions.length / COMPLETION.words);
    for (const [i, record] of this.#completions.splice(0, count).entries()) completions.set(record, i * COMPLETION.words);
    return count;
  }

  arm(solicitedOnly: boolean): void {
    if (this.#destroyed) throw systemError('EBADF', 'ibv_req_notify_cq');
    if (this.#armed !== 'all') this.#armed = solicitedOnly ? 'solicited' : 'all';
  }

  async destroy(): Promise<void> {
    if (this.#destroyed) throw systemError('EBADF', 'ibv_destroy_cq');
    this.#destroyed = true;
  }
}
