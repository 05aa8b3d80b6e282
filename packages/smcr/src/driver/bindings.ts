// bindings.ts - where the bytes of a connection are, here and at the peer, on the link it uses now. Made once per link, not per message.

import type { Link, Member } from '../group/index.js';
import { type Base, baseOf } from './addresses.js';
import type { LinkEntry } from './device-queue.js';
import type { GroupMemory } from './group-memory.js';

export interface Binding {
  /** The send buffer. */
  readonly local: Base;
  /** The peer's element. */
  readonly remote: Base;
}

interface Known {
  readonly member: Member;
  readonly link: Link;
  readonly binding: Binding;
}

export class Bindings {
  readonly #memory: GroupMemory;
  readonly #known = new Map<Member, Known>();
  /** Messages come in rows. */
  #last: Known | undefined;

  constructor(memory: GroupMemory) {
    this.#memory = memory;
  }

  /** Undefined when one of the two is not known on this link. */
  of(member: Member, { link, queue }: LinkEntry): Binding | undefined {
    if (this.#last?.member === member && this.#last.link === link) return this.#last.binding;
    this.#last = this.#known.get(member);
    if (this.#last?.link === link) return this.#last.binding;
    const local = this.#memory.bufferOf(member, queue.pd);
    const remote = member.peer.rtoken.get(link);
    if (local === undefined || remote === undefined) return undefined;
    const element = remote.address + BigInt((member.peer.index - 1) * member.peer.size);
    const binding = { local: baseOf(local.address, local.lkey), remote: baseOf(element, remote.rkey) };
    this.#last = { member, link, binding };
    this.#known.set(member, this.#last);
    return binding;
  }

  delete(member: Member): void {
    this.#last = undefined;
    this.#known.delete(member);
  }
}
