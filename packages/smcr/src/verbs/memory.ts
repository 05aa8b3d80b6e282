// memory.ts - memory that is registered with a real device.

import type { MemoryRegion, MemoryRegistration } from '../verbs-provider.js';
import type { NativeMemoryRegion } from './addon.js';
import { verbsError } from './checks.js';

export class IbvRegistration implements MemoryRegistration {
  readonly lkey: number;
  readonly rkey: number;
  readonly address: bigint;
  readonly #native: NativeMemoryRegion;

  constructor(native: NativeMemoryRegion, remoteWrite: boolean) {
    const [lkey, rkey, address] = native.keys();
    this.#native = native;
    this.lkey = lkey;
    this.rkey = remoteWrite ? rkey : 0;
    this.address = address;
  }

  /** The native side of memory, for registering it again; EINVAL for memory of another provider. */
  static native(region: MemoryRegistration): NativeMemoryRegion {
    if (region instanceof IbvRegistration && #native in region) return region.#native;
    throw verbsError('EINVAL', 'ibv_reg_mr', 'the memory is not of this provider');
  }

  async release(): Promise<void> {
    await this.#native.release();
  }
}

/** The native side of memory, for what is made from it. */
export const nativeMemory = (region: MemoryRegion): NativeMemoryRegion => IbvRegistration.native(region);

export class IbvMemoryRegion extends IbvRegistration implements MemoryRegion {
  readonly bytes: Buffer;
  readonly length: number;
  readonly mirrored: boolean;

  constructor(native: NativeMemoryRegion, buffer: ArrayBuffer, is: { length: number; remoteWrite: boolean; mirrored: boolean }) {
    super(native, is.remoteWrite);
    this.bytes = Buffer.from(buffer);
    this.length = is.length;
    this.mirrored = is.mirrored;
  }
}
