// receive-memory.ts - private memory for received chunks: what the stream hands out is never the ring itself.

// As a global it is an accessor.
import { Buffer } from 'node:buffer';

/** Up to here Node's own pool of 8 KiB serves; a kept chunk then keeps no more than that. */
const POOLED_BYTES = 4096;
/** Middle-sized chunks share a slab: half as many allocations as one each, which is what large streams are limited by. */
const SLAB_BYTES = 256 * 1024;

/**
 * Allocates chunks. Small ones come from Node's pool; middle ones share a slab; large ones stand alone, so that keeping
 * one does not keep others.
 */
export class ReceiveMemory {
  #slab: Buffer | undefined;
  #used = 0;

  /** A chunk of exactly `bytes` bytes, uninitialised, the caller's for good. */
  take(bytes: number): Buffer {
    if (bytes <= POOLED_BYTES) return Buffer.allocUnsafe(bytes);
    if (bytes >= SLAB_BYTES / 2) return Buffer.allocUnsafeSlow(bytes);
    if (this.#slab === undefined || this.#used + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const chunk = this.#slab.subarray(this.#used, this.#used + bytes);
    this.#used += (bytes + 7) & ~7;
    return chunk;
  }
}
