// memory.ts - memory of a simulated host: addresses that differ per registration, keys, and what remote writes may touch.

import type { MemoryRegion, MemoryRegistration } from '../../src/verbs-provider.js';

interface Registration {
  readonly bytes: Buffer;
  readonly address: bigint;
  readonly remoteWrite: boolean;
  /** The protection domain. */
  readonly domain: object;
}

export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}

export class HostMemory {
  /** By key; local and remote keys are the same number. */
  readonly #registrations = new Map<number, Registration>();
  #nextKey: number;
  #nextAddress: bigint;
  registered = 0;
  /** How long it takes to deregister. */
  readonly #wait: () => Promise<void>;

  constructor(start: number, wait: () => Promise<void>) {
    this.#wait = wait;
    this.#nextKey = start * 0x1000 + 0x11;
    // In the middle of the first region, the send slots of a link, the lower half of an address is used up.
    this.#nextAddress = 0x7f00_ffff_fe00n + BigInt(start) * 0x1_0000_0000n;
  }

  allocate(domain: object, length: number, remoteWrite: boolean): MemoryRegion {
    const bytes = Buffer.from(new ArrayBuffer(length));
    const registration = this.register(domain, bytes, remoteWrite);
    const region = { ...registration, bytes, length, mirrored: false };
    return Object.assign(region, {
      release: async () => {
        await registration.release();
        // Detached, as the real one is before it is unmapped.
        structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
      },
    });
  }

  register(domain: object, bytes: Buffer, remoteWrite: boolean): MemoryRegistration {
    const key = this.#nextKey++;
    const address = this.#nextAddress;
    this.#nextAddress += BigInt((bytes.length + 0x1fff) & ~0xfff);
    this.#registrations.set(key, { bytes, address, remoteWrite, domain });
    this.registered++;
    return {
      lkey: key,
      rkey: remoteWrite ? key : 0,
      address,
      release: async () => {
        if (!this.#registrations.delete(key)) throw systemError('EBADF', 'ibv_dereg_mr');
        await this.#wait();
        this.registered--;
      },
    };
  }

  /** The bytes meant, or undefined when the key does not allow it. */
  at(domain: object, key: number, address: bigint, length: number, remote: boolean): Buffer | undefined {
    const registration = this.#registrations.get(key);
    if (registration === undefined || registration.domain !== domain) return undefined;
    if (remote && !registration.remoteWrite) return undefined;
    const from = address - registration.address;
    if (from < 0n || from + BigInt(length) > BigInt(registration.bytes.length)) return undefined;
    return registration.bytes.subarray(Number(from), Number(from) + length);
  }
}
