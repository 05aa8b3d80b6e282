// shared-memory.ts - memory of a link group that several devices must know: RMBs and send buffers. Allocated with one device,
// registered with the others; a device that comes later registers what is there.

import type { MemoryRegion, MemoryRegistration, ProtectionDomain } from '../verbs-provider.js';

export class SharedMemory {
  readonly region: MemoryRegion;
  readonly #remoteWrite: boolean;
  readonly #registrations: Map<ProtectionDomain, MemoryRegistration>;
  #released = false;
  #users = 0;
  #unused: (() => void) | undefined;

  private constructor(pd: ProtectionDomain, region: MemoryRegion, remoteWrite: boolean) {
    this.region = region;
    this.#remoteWrite = remoteWrite;
    this.#registrations = new Map([[pd, region]]);
  }

  /** `pds` has one at least; the first one's device allocates. */
  static async allocate(pds: Iterable<ProtectionDomain>, length: number, remoteWrite: boolean): Promise<SharedMemory> {
    const [first, ...others] = pds;
    if (first === undefined) throw new Error('memory without a device');
    const region = await first.allocateMemory(length, { remoteWrite });
    const memory = new SharedMemory(first, region, remoteWrite);
    try {
      for (const pd of others) await memory.register(pd);
    } catch (error) {
      await memory.release();
      throw error;
    }
    return memory;
  }

  /** Makes it known to a device; once. */
  async register(pd: ProtectionDomain): Promise<void> {
    if (this.#released || this.#registrations.has(pd)) return;
    const registration = await pd.registerMemory(this.region, { remoteWrite: this.#remoteWrite });
    if (this.#released) await registration.release();
    else this.#registrations.set(pd, registration);
  }

  get inUse(): boolean {
    return this.#users > 0;
  }

  on(pd: ProtectionDomain): MemoryRegistration | undefined {
    return this.#registrations.get(pd);
  }

  /** Somebody looks at the bytes: until the function returned is called they stay, registered or not wanted any more. */
  use(): () => void {
    this.#users++;
    let using = true;
    return () => {
      if (!using) return;
      using = false;
      if (--this.#users === 0) this.#unused?.();
    };
  }

  /** When nobody looks at it any more: registrations first, the memory last. Idempotent. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    if (this.#users > 0) {
      await new Promise<void>((resolve) => {
        this.#unused = resolve;
      });
    }
    for (const registration of this.#registrations.values()) {
      if (registration !== this.region) await registration.release();
    }
    await this.region.release();
  }
}
