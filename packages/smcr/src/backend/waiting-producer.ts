// waiting-producer.ts - the sending end of an SMC-R connection's ring: room in it comes with completions, which nobody is woken for unless
// somebody waits.

import { RingProducer, type RingMemory } from '@smcjs/core/backend';

export class WaitingProducer extends RingProducer {
  readonly #waits: () => void;

  /** `waits` is called when the writer begins to wait for room. */
  constructor(memory: RingMemory, waits: () => void) {
    super(memory);
    this.#waits = waits;
  }

  override setWriteBlocked(blocked: boolean): void {
    super.setWriteBlocked(blocked);
    if (blocked) this.#waits();
  }
}
