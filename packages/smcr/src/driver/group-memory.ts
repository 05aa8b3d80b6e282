// group-memory.ts - the memory of one link group: its RMBs and the send buffers of its connections, known to every device in use.

import type { Member, Rkey, Rmb } from '../group/index.js';
import type { MemoryRegistration, ProtectionDomain } from '../verbs-provider.js';
import { SharedMemory } from './shared-memory.js';

/** Send buffers that are kept for the next connections have no more bytes than this: registering takes longer than all else of a connect. */
const SPARE_BYTES = 2 << 20;

export class GroupMemory {
  /** Devices in use. */
  readonly pds = new Set<ProtectionDomain>();
  readonly #rmbs = new Map<Rmb, SharedMemory>();
  readonly #buffers = new Set<SharedMemory>();
  /** Registered, and nobody's. */
  #spare: SharedMemory[] = [];
  #over = false;
  readonly #bound = new Map<Member, SharedMemory>();

  /** A device comes into use: it gets to know everything. */
  async addDevice(pd: ProtectionDomain): Promise<void> {
    this.pds.add(pd);
    for (const memory of [...this.#rmbs.values(), ...this.#buffers]) await memory.register(pd);
  }

  /** Remotely writable memory for an RMB. Rejects when there is none. */
  async addRmb(rmb: Rmb): Promise<void> {
    const memory = await SharedMemory.allocate(this.pds, rmb.length, true);
    if (rmb.deleted) return memory.release();
    this.#rmbs.set(rmb, memory);
    await this.#everywhere(memory);
  }

  /** By which rkey and address a device's peers write it. */
  rkeyOf(rmb: Rmb, pd: ProtectionDomain): Rkey | undefined {
    return this.#rmbs.get(rmb)?.on(pd);
  }

  /** Of all RMBs. */
  rkeysOn(pd: ProtectionDomain): Map<Rmb, Rkey> {
    const rkeys = new Map<Rmb, Rkey>();
    for (const [rmb, memory] of this.#rmbs) {
      const rkey = memory.on(pd);
      if (rkey !== undefined) rkeys.set(rmb, rkey);
    }
    return rkeys;
  }

  bytesOf(rmb: Rmb, index: number): Buffer {
    const { bytes } = (this.#rmbs.get(rmb) as SharedMemory).region;
    return bytes.subarray((index - 1) * rmb.elementSize, index * rmb.elementSize);
  }

  /** The elements of this RMB are looked at, see {@link SharedMemory.use}. */
  use(rmb: Rmb): () => void {
    return (this.#rmbs.get(rmb) as SharedMemory).use();
  }

  releaseRmb(rmb: Rmb): void {
    const memory = this.#rmbs.get(rmb);
    this.#rmbs.delete(rmb);
    void memory?.release().catch(ignore);
  }

  async addBuffer(length: number): Promise<SharedMemory> {
    const spare = this.#spare.findIndex(({ region }) => region.length === length);
    const [known] = spare < 0 ? [] : this.#spare.splice(spare, 1);
    const buffer = known ?? (await SharedMemory.allocate(this.pds, length, false));
    this.#buffers.add(buffer);
    await this.#everywhere(buffer);
    return buffer;
  }

  bind(member: Member, buffer: SharedMemory): void {
    this.#bound.set(member, buffer);
  }

  bufferOf(member: Member, pd: ProtectionDomain): MemoryRegistration | undefined {
    return this.#bound.get(member)?.on(pd);
  }

  /** The connection is over: its buffer goes, at once or with all others. */
  unbind(member: Member, now: boolean): void {
    const buffer = this.#bound.get(member);
    this.#bound.delete(member);
    if (buffer !== undefined && now) this.releaseBuffer(buffer);
  }

  releaseBuffer(buffer: SharedMemory): void {
    this.#buffers.delete(buffer);
    const kept = this.#spare.reduce((bytes, { region }) => bytes + region.length, buffer.region.length);
    if (!this.#over && !buffer.inUse && kept <= SPARE_BYTES) this.#spare.push(buffer);
    else void buffer.release().catch(ignore);
  }

  /** All of it; the queue pairs are gone. */
  async release(): Promise<void> {
    this.#over = true;
    const all = [...this.#rmbs.values(), ...this.#buffers, ...this.#spare];
    this.#spare = [];
    this.#rmbs.clear();
    this.#buffers.clear();
    await Promise.all(all.map((memory) => memory.release().catch(ignore)));
  }

  /** Also on devices that came while it was allocated. */
  async #everywhere(memory: SharedMemory): Promise<void> {
    for (const pd of this.pds) await memory.register(pd);
  }
}

function ignore(): void {
  // The device is gone, and the memory with it.
}
