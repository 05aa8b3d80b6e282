// sending.ts - values into a connection as fast as there is room, whoever makes them.
//
// What can be asked for its next value (iterables, asynchronous ones) is asked when the one before is sent. An Observable cannot
// be asked: its values wait, up to a bound.

import type { Duplex } from 'node:stream';
import { from, isObservable, Observable, type ObservableInput, type Subscriber } from 'rxjs';
import { SmcError, systemError } from '../errors.js';
import { expected, expectOptions } from '../given.js';
import { hearing } from '../frames/ring-link.js';

export interface SendOptions {
  /**
   * Of values that an Observable emits while `buffer` others wait for room: 'error' (default) errors with
   * `ERR_SMC_BUFFER_FULL`, 'drop' drops the new one, which is not emitted then. Iterables always wait.
   */
  overflow?: 'error' | 'drop';
  /** Values of an Observable that wait for room at most; 0: none. Default 1024. */
  buffer?: number;
  /** Does the end of the source end the connection, and its error reset it? Default true. */
  end?: boolean;
}

/**
 * To be used in `pipe`, or called with anything rxjs takes for an Observable, as an asynchronous iterable. The result emits each
 * value once it is in the ring.
 */
export type Sender<V> = <T extends V>(source: ObservableInput<T>) => Observable<T>;

/** How values are put into a connection. */
export interface Sending<V> {
  /** False when there is no room now, or the connection is closed. */
  send(value: V): boolean;
  /** True when there may be room for it, false when either side has closed. */
  room(value: V): Promise<boolean>;
}

export type Connection = Duplex & { resetAndDestroy?(): unknown };

const BUFFER = 1024;

/** `begin` is called for each subscriber. @throws SmcError `ERR_SMC_INVALID_OPTION` */
export function sender<V>(call: string, end: Connection, options: SendOptions, begin: () => Sending<V>): Sender<V> {
  expectOptions(options, call);
  const { overflow = 'error', buffer = BUFFER, end: ends = true } = options;
  expected(overflow === 'error' || overflow === 'drop', call, 'overflow', "'error' or 'drop'", overflow);
  const possible = (Number.isInteger(buffer) && buffer >= 0) || buffer === Number.POSITIVE_INFINITY;
  expected(possible, call, 'buffer', 'a number of values', buffer);
  expected(typeof ends === 'boolean', call, 'end (an option)', 'true or false', ends);
  return <T extends V>(source: ObservableInput<T>) => {
    // What else it cannot be rxjs says.
    expected(source !== undefined && source !== null, call, 'source', 'an Observable or iterable', source);
    return new Observable<T>((subscriber) => {
      // It is told to the subscriber.
      subscriber.add(hearing(end));
      const sink = new Sink<T>(end, begin(), subscriber, ends);
      if (subscriber.closed) return;
      const iterator = iteratorOf(source);
      if (iterator === undefined) push(sink, from(source), subscriber, overflow, buffer);
      else void pull(sink, iterator, subscriber);
    });
  };
}

/** Where values go, and how it ends. */
class Sink<T> {
  readonly #end: Connection;
  readonly #sending: Sending<T>;
  readonly #subscriber: Subscriber<T>;
  readonly #ends: boolean;

  constructor(end: Connection, sending: Sending<T>, subscriber: Subscriber<T>, ends: boolean) {
    this.#end = end;
    this.#sending = sending;
    this.#subscriber = subscriber;
    this.#ends = ends;
    // Whoever has nothing to send now learns of the end of the connection, too.
    const closed = (): void => this.fail(this.#lost());
    end.on('close', closed);
    subscriber.add(() => end.off('close', closed));
    if (end.destroyed) closed();
  }

  /** True when it was sent; the value is emitted. Errors are the subscriber's. */
  offer(value: T): boolean {
    if (!this.#sending.send(value)) return false;
    this.#subscriber.next(value);
    return true;
  }

  /** Sends when there is room; false once nobody subscribes any more or the connection has ended. */
  async deliver(value: T): Promise<boolean> {
    while (!this.#subscriber.closed) {
      if (this.offer(value)) return true;
      if (!(await this.#sending.room(value))) this.fail(this.#lost());
    }
    return false;
  }

  complete(): void {
    if (this.#subscriber.closed) return;
    if (this.#ends) this.#end.end();
    this.#subscriber.complete();
  }

  /** The source has failed: the peer must not take it for the end. */
  abort(error: unknown): void {
    if (this.#subscriber.closed) return;
    this.fail(error);
    if (!this.#ends) return;
    // The peer learns that it ended, not why.
    this.#end.on('error', () => {});
    if (this.#end.resetAndDestroy === undefined) this.#end.destroy();
    else this.#end.resetAndDestroy();
  }

  /** The connection, or what is sent, is at fault. */
  fail(error: unknown): void {
    this.#subscriber.error(error);
  }

  #lost(): Error {
    return this.#end.errored ?? systemError('EPIPE', 'send');
  }
}

/** Sends what an Observable emits: at once, or after those that wait. */
function push<T>(sink: Sink<T>, source: Observable<T>, subscriber: Subscriber<T>, overflow: 'error' | 'drop', buffer: number): void {
  let waiting: T[] = [];
  let delivering = false;
  let completed = false;
  subscriber.add(() => void (waiting = []));
  const deliver = async (): Promise<void> => {
    delivering = true;
    try {
      while (waiting.length > 0 && (await sink.deliver(waiting[0] as T))) waiting.shift();
    } catch (error) {
      sink.fail(error);
    }
    delivering = false;
    if (completed && waiting.length === 0) sink.complete();
  };
  const upstream = source.subscribe({
    next: (value) => {
      try {
        if (subscriber.closed || (!delivering && sink.offer(value))) return;
      } catch (error) {
        return sink.fail(error);
      }
      if (waiting.length < buffer) {
        waiting.push(value);
        if (!delivering) void deliver();
      } else if (overflow === 'error') {
        sink.fail(new SmcError('ERR_SMC_BUFFER_FULL', `${buffer} values wait for room in the connection, and one more came`));
      }
    },
    error: (error) => sink.abort(error),
    complete: () => {
      completed = true;
      if (!delivering) sink.complete();
    },
  });
  subscriber.add(upstream);
}

/** Takes one after the other as there is room. */
async function pull<T>(sink: Sink<T>, iterator: Iterator<T> | AsyncIterator<T>, subscriber: Subscriber<T>): Promise<void> {
  let ended = false;
  let asking = false;
  const giveBack = (): void => {
    if (ended) return;
    ended = true;
    // One that is asked for its next value can only be told.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  };
  subscriber.add(giveBack);
  try {
    for (;;) {
      asking = true;
      const { done, value } = await iterator.next();
      asking = false;
      if (done) {
        ended = true;
        return sink.complete();
      }
      if (subscriber.closed || !(await sink.deliver(value))) return;
    }
  } catch (error) {
    if (!asking) return sink.fail(error);
    // An iterator that has thrown has ended.
    ended = true;
    sink.abort(error);
  }
}

/** Of what can be asked; undefined for an Observable and what only rxjs understands. */
function iteratorOf<T>(source: ObservableInput<T>): Iterator<T> | AsyncIterator<T> | undefined {
  if (isObservable(source)) return undefined;
  const given = source as Partial<AsyncIterable<T> & Iterable<T>>;
  return given[Symbol.asyncIterator]?.() ?? given[Symbol.iterator]?.();
}
