// fan-in.ts - many to one: records of several connections, taken in turns so that none starves the others.

import type { EventEmitter } from 'node:events';
import { expectConnection, expectFunction, expectIterable } from '../given.js';
import type { RingSurface } from '../socket/ring-surface.js';
import { type RingConnection, ringOf } from './send-all.js';

/** Most records of one connection before the next has its turn. */
const TURN_RECORDS = 64;

interface Member<E> {
  readonly end: E;
  readonly ring: RingSurface;
  /** Waits in the queue of those that have something. */
  queued: boolean;
  readonly leave: () => void;
}

export type RecordHandler<E> = (bytes: Uint8Array, offset: number, length: number, end: E) => void;

/**
 * Receives the records of several connections of this thread. Those that have some take turns of up to 64 records. It uses
 * `ring.onreadable` of its connections. One that ends leaves by itself once everything it sent was received.
 */
export class FanIn<E extends RingConnection & EventEmitter> implements AsyncIterable<{ readonly end: E; readonly records: Uint8Array[] }> {
  /** Called when a connection has ended, with its error if it did not end in order, which then needs no listener of its own. */
  onend: ((end: E, error: Error | null) => void) | undefined;
  readonly #members = new Map<E, Member<E>>();
  /** Those that may have records, in the order of their turns. */
  #queue: Member<E>[] = [];
  #waiting: ((more: boolean) => void)[] = [];

  /** @throws SmcError as {@link add} */
  constructor(ends: Iterable<E> = []) {
    expectIterable(ends, 'FanIn', 'ends', 'an iterable of connections');
    for (const end of ends) this.add(end);
  }

  get size(): number {
    return this.#members.size;
  }

  /**
   * @throws SmcError `ERR_SMC_FALLBACK` for a connection without a ring, `ERR_SMC_INVALID_OPTION` for what is none.
   */
  add(end: E): this {
    expectConnection(end, 'FanIn.add');
    if (this.#members.has(end)) return this;
    const ring = ringOf(end);
    const onError = (): void => {};
    const onClose = (): void => {
      this.#remove(member);
      this.onend?.(end, end.errored);
    };
    const leave = (): void => {
      ring.onreadable = undefined;
      end.off('close', onClose);
      end.off('error', onError);
    };
    const member: Member<E> = { end, ring, queued: false, leave };
    this.#members.set(end, member);
    end.on('error', onError);
    end.on('close', onClose);
    ring.onreadable = () => this.#ready(member);
    this.#ready(member);
    return this;
  }

  /** Lets a connection go; what it has not handed out stays in its ring. */
  remove(end: E): this {
    const member = this.#members.get(end);
    if (member !== undefined) this.#remove(member);
    return this;
  }

  /** Lets all connections go. */
  close(): void {
    for (const member of [...this.#members.values()]) this.#remove(member);
  }

  /**
   * Hands up to `limit` records (default: all there are) to `handler`, with the connection each came from; returns how many.
   * Bytes are private memory, the receiver's to keep. A record the handler throws at is taken.
   */
  receive(handler: RecordHandler<E>, limit = Number.MAX_SAFE_INTEGER): number {
    expectFunction(handler, 'FanIn.receive', 'handler');
    let count = 0;
    while (count < limit && this.#queue.length > 0) count += this.#turn(handler, Math.min(TURN_RECORDS, limit - count));
    return count;
  }

  /** Resolves to true when there may be records, to false when there is no connection any more. */
  readable(): Promise<boolean> {
    if (this.#queue.length > 0) return Promise.resolve(true);
    if (this.#members.size === 0) return Promise.resolve(false);
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /** Records as they come, of one connection at a time, in turns. Ends when all connections have ended. */
  async *[Symbol.asyncIterator](): AsyncGenerator<{ readonly end: E; readonly records: Uint8Array[] }, void, undefined> {
    while (await this.readable()) {
      const end = this.#queue[0]?.end as E;
      const records: Uint8Array[] = [];
      this.#turn((bytes, offset, length) => void records.push(bytes.subarray(offset, offset + length)), TURN_RECORDS);
      if (records.length > 0) yield { end, records };
    }
  }

  /** The turn of the first in the queue: how many records it had. */
  #turn(handler: RecordHandler<E>, limit: number): number {
    const member = this.#queue.shift() as Member<E>;
    member.queued = false;
    const { ring, end } = member;
    let count = 0;
    let thrown = true;
    try {
      ring.receive((bytes, offset, length) => {
        count++;
        handler(bytes, offset, length, end);
      }, limit);
      thrown = false;
    } finally {
      // As many as were allowed: there may be more, after the others' turns. Else news come by onreadable.
      if (thrown || count === limit) this.#ready(member);
    }
    return count;
  }

  #ready(member: Member<E>): void {
    if (member.queued || !this.#members.has(member.end)) return;
    member.queued = true;
    this.#queue.push(member);
    this.#answer(true);
  }

  #remove(member: Member<E>): void {
    member.leave();
    this.#members.delete(member.end);
    this.#queue = this.#queue.filter((other) => other !== member);
    if (this.#members.size === 0) this.#answer(false);
  }

  #answer(more: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(more);
  }
}
