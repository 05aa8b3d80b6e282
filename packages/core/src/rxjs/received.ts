// received.ts - one Observable for all that can be received: takes a thing, waits for what was made of it, takes the next.

import type { Duplex } from 'node:stream';
import { from, Observable, type ObservableInput, Subject, type Subscriber, takeUntil } from 'rxjs';
import { hearing } from '../frames/ring-link.js';
import { onNews } from './news.js';

/** Things taken in a row before other events of the loop have their turn. */
const TURN = 256;

export interface Receiving<V> {
  /** What is waited for when there is nothing to take. */
  readonly news: { readable(): Promise<boolean> };
  take(): V | undefined;
  project(value: V): ObservableInput<unknown>;
  /** Gives back what was taken. */
  release(value: V): void;
  /** When nothing more comes: why, or null when the peer ended in order. */
  reason(): unknown;
}

/** `begin` is called for each subscriber; what it throws is the Observable's error. */
export function received<V>(end: Duplex, begin: () => Receiving<V>): Observable<unknown> {
  return new Observable((subscriber) => {
    // It is told to the subscriber.
    subscriber.add(hearing(end));
    const reception = new Reception(subscriber, begin());
    subscriber.add(() => reception.stop());
    reception.run();
  });
}

class Reception<V> {
  readonly #subscriber: Subscriber<unknown>;
  readonly #from: Receiving<V>;
  readonly #stop = new Subject<void>();
  #held: { readonly value: V } | undefined;
  #running = false;
  #cancel: (() => void) | undefined;
  #soon: NodeJS.Immediate | undefined;

  constructor(subscriber: Subscriber<unknown>, receiving: Receiving<V>) {
    this.#subscriber = subscriber;
    this.#from = receiving;
  }

  /** Takes as long as there is something and what was made of it completes at once. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let turn = 0; !this.#subscriber.closed && this.#held === undefined; turn++) {
        if (turn === TURN) {
          this.#soon = setImmediate(() => this.run());
          break;
        }
        const value = this.#from.take();
        if (value === undefined) {
          this.#wait();
          break;
        }
        this.#held = { value };
        this.#emit(this.#from.project(value));
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = false;
    }
  }

  /** The subscriber has gone, or has been told the end: nothing is held and nothing waited for. */
  stop(): void {
    this.#cancel?.();
    clearImmediate(this.#soon);
    this.#stop.next();
    try {
      this.#release();
    } catch {
      // Something else was received meanwhile: its place is free already.
    }
  }

  #emit(results: ObservableInput<unknown>): void {
    if (Array.isArray(results)) {
      for (let i = 0; i < results.length && !this.#subscriber.closed; i++) this.#subscriber.next(results[i]);
      return this.#release();
    }
    // Linked by #stop, not by the subscription, which is not there yet while an iterable is emitted.
    from(results)
      .pipe(takeUntil(this.#stop))
      .subscribe({
        next: (result) => this.#subscriber.next(result),
        error: (error: unknown) => this.#fail(error),
        complete: () => this.#completed(),
      });
  }

  #completed(): void {
    if (this.#subscriber.closed) return;
    try {
      this.#release();
      this.run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #wait(): void {
    this.#cancel = onNews(this.#from.news, (more, error) => {
      if (error !== undefined) this.#fail(error);
      else if (more) this.run();
      else void this.#finish();
    });
  }

  async #finish(): Promise<void> {
    const reason = await this.#from.reason();
    if (reason === null) this.#subscriber.complete();
    else this.#fail(reason);
  }

  #fail(error: unknown): void {
    this.#subscriber.error(error);
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#from.release(held.value);
  }
}
