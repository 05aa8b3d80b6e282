// reporting-consumer.ts - the receiving end of an SMC-R connection's ring: who reads has to tell the peer by CDC, which has no look at
// our memory.

import { RingConsumer, type RingMemory } from '@smcjs/core/backend';
import type { SmcrConnection } from '../connection/index.js';

export class ReportingConsumer extends RingConsumer {
  readonly #connection: SmcrConnection;

  constructor(memory: RingMemory, connection: SmcrConnection) {
    super(memory);
    this.#connection = connection;
  }

  /** True, too, when so much was read that the peer should hear of it. */
  override publish(): boolean {
    return super.publish() || this.#connection.receiving.wants(this.cursor | 0);
  }
}
