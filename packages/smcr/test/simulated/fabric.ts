// fabric.ts - a network of simulated RDMA ports: packets take time, get lost, overtake those of other queue pairs, or find the port
// down. Deterministic: everything follows from the seed.

import { Random } from '../../../../test/support/random.js';
import type { SimulatedPair } from './queue-pair.js';
import type { VirtualTime } from './virtual-time.js';

export interface FabricOptions {
  readonly seed: number;
  /** Milliseconds one way, least and most; each packet its own. */
  readonly latency?: readonly [number, number];
  /** Of 1000 packets so many are lost. */
  readonly loss?: number;
}

export class Fabric {
  readonly time: VirtualTime;
  readonly random: Random;
  /** Queue pairs by GID (hex) and number. */
  readonly #pairs = new Map<string, SimulatedPair>();
  readonly #down = new Set<string>();
  readonly #latency: readonly [number, number];
  #loss: number;
  /** Called before each request is put on the wire, with how many were before it: where a test may break something. */
  onRequest: ((count: number) => void) | undefined;
  requests = 0;
  /** Messages that found no receive posted. */
  notReady = 0;

  constructor(time: VirtualTime, options: FabricOptions) {
    this.time = time;
    this.random = new Random(options.seed);
    this.#latency = options.latency ?? [0.002, 0.01];
    this.#loss = options.loss ?? 0;
  }

  add(gid: Uint8Array, pair: SimulatedPair): void {
    this.#pairs.set(key(gid, pair.number), pair);
  }

  remove(gid: Uint8Array, pair: SimulatedPair): void {
    this.#pairs.delete(key(gid, pair.number));
  }

  find(gid: Uint8Array, number: number): SimulatedPair | undefined {
    return this.#pairs.get(key(gid, number));
  }

  /** Nothing gets to or from this port any more. */
  cut(gid: Uint8Array): void {
    this.#down.add(hex(gid));
  }

  mend(gid: Uint8Array): void {
    this.#down.delete(hex(gid));
  }

  set loss(perThousand: number) {
    this.#loss = perThousand;
  }

  /** Brings a packet, or loses it. Packets of one stream (`last` is the time of the one before) keep their order. */
  carry(from: Uint8Array, to: Uint8Array, last: number, arrive: () => void): number {
    const [least, most] = this.#latency;
    const delay = least + ((most - least) * this.random.integer(0, 1000)) / 1000;
    const at = Math.max(this.time.now() + delay, last);
    if (this.#isCut(from, to) || this.random.integer(1, 1000) <= this.#loss) return at;
    this.time.after(at - this.time.now(), () => {
      if (!this.#isCut(from, to)) arrive();
    });
    return at;
  }

  #isCut(a: Uint8Array, b: Uint8Array): boolean {
    return this.#down.size > 0 && (this.#down.has(hex(a)) || this.#down.has(hex(b)));
  }
}

const hex = (gid: Uint8Array): string => Buffer.from(gid).toString('hex');
const key = (gid: Uint8Array, number: number): string => `${hex(gid)}/${number}`;
