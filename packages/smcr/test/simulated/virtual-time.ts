// virtual-time.ts - a clock that goes on only when nothing is left to do, and events at its times.

import type { Clock } from '../../src/driver/index.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class VirtualTime implements Clock {
  #now = 0;
  #order = 0;
  /** A heap by time, then by order. */
  readonly #events: Event[] = [];
  readonly #forgotten = new Set<Event>();
  /** Called before each event, with how many there were: where a test may break something. */
  onEvent: ((count: number) => void) | undefined;
  events = 0;

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, call: () => void): () => void {
    const event = { at: this.#now + Math.max(0, milliseconds), order: this.#order++, call };
    this.#push(event);
    return () => void this.#forgotten.add(event);
  }

  /** Nobody had a processor for so long: what was due meanwhile comes late, in its order. */
  standStill(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Lets events happen until `done`. @throws Error when that is not before `limit` milliseconds from now. */
  async until(done: () => boolean, limit: number, what = 'it'): Promise<void> {
    const end = this.#now + limit;
    await this.#settle();
    while (!done()) {
      const event = this.#pop();
      if (event === undefined || event.at > end) throw new Error(`${what} did not happen within ${limit} ms of virtual time`);
      if (this.#forgotten.delete(event)) continue;
      this.#now = Math.max(this.#now, event.at);
      this.events++;
      this.onEvent?.(this.events);
      event.call();
      await this.#settle();
    }
  }

  /** Lets so much time go by. */
  async pass(milliseconds: number): Promise<void> {
    let over = false;
    this.after(milliseconds, () => (over = true));
    await this.until(() => over, milliseconds + 1);
  }

  /** A promise that is resolved in so many milliseconds: control verbs take time. */
  promise(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(milliseconds, resolve);
    });
  }

  /** All promises that can run on do. */
  #settle(): Promise<void> {
    return new Promise<void>((resolve) => void setImmediate(resolve));
  }

  #push(event: Event): void {
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#events;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}
