// transmitter.ts - who transmits when: connections with something pending post it as long as their link has slots, and wait for them
// otherwise; and nobody transmits while a queue pair is on its way to ERROR.

import { Transmission } from '../connection/index.js';
import type { Link, Member } from '../group/index.js';
import { Bindings } from './bindings.js';
import { CompletionWaits } from './completion-waits.js';
import type { LinkEntry } from './device-queue.js';
import type { GroupMemory } from './group-memory.js';

/** Allocates nothing per message. */
export class Transmitter {
  readonly #bindings: Bindings;
  readonly #out = new Transmission();
  /** Connections that wait for something of theirs to complete. */
  readonly waits = new CompletionWaits();
  /** Connections with something to send and no slot, by link. */
  readonly #waiting = new Map<Link, Set<Member>>();
  /** Queue pairs on their way to ERROR: until they are there connections wait, so that nothing old comes behind what is repeated. */
  #held = 0;

  constructor(memory: GroupMemory) {
    this.#bindings = new Bindings(memory);
  }

  /** `entry` is that of the connection's link. Whether posting worked says `entry.queue.broken`. */
  transmit(member: Member, entry: LinkEntry): void {
    const { connection } = member;
    const { queue } = entry;
    if (this.#held > 0) return this.#wait(member);
    while (connection.pending()) {
      if (!queue.hasSlot) {
        if (!queue.broken) this.#wait(member);
        break;
      }
      const binding = this.#bindings.of(member, entry);
      if (binding === undefined) return;
      connection.transmit(this.#out);
      queue.post(member, this.#out, binding);
    }
    this.waits.update(member);
  }

  /** A slot got free: those who wait have their turn, one message each. */
  serve(entry: LinkEntry): void {
    const waiting = this.#waiting.get(entry.link);
    if (waiting === undefined || this.#held > 0) return;
    for (const member of waiting) {
      if (!entry.queue.hasSlot) return;
      waiting.delete(member);
      const binding = this.#bindings.of(member, entry);
      if (member.link !== entry.link || binding === undefined || !member.connection.pending()) continue;
      member.connection.transmit(this.#out);
      entry.queue.post(member, this.#out, binding);
      this.waits.update(member);
      if (member.connection.pending()) waiting.add(member);
    }
  }

  /** A queue pair is on its way to ERROR; {@link release} when it is there. */
  hold(): void {
    this.#held++;
  }

  /** True when nobody is held any more: {@link serve} all links. */
  release(): boolean {
    return --this.#held === 0;
  }

  /** The connection is over. */
  forget(member: Member): void {
    this.#waiting.get(member.link)?.delete(member);
    this.#bindings.delete(member);
    this.waits.delete(member);
  }

  forgetLink(link: Link): void {
    this.#waiting.delete(link);
  }

  #wait(member: Member): void {
    const waiting = this.#waiting.get(member.link);
    if (waiting === undefined) this.#waiting.set(member.link, new Set([member]));
    else waiting.add(member);
  }
}
