// events.ts - waiting for things to happen. Nothing here has an upper bound of its own: the test's time-out is the watchdog.

import type { EventEmitter } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The arguments of the next `name` event. Unlike `once` of node:events it does not reject on 'error'. What a stream does once and has
 * done counts: which of two ends closes first is nobody's promise. ('close' of those that {@link watched} knows.)
 */
export function event(emitter: EventEmitter, name: string): Promise<unknown[]> {
  const past = happened(emitter, name);
  return past !== undefined ? Promise.resolve(past) : new Promise((resolve) => emitter.once(name, (...args: unknown[]) => resolve(args)));
}

/** Arguments of 'close'. Streams say that they are closed before they emit it. */
const closes = new WeakMap<EventEmitter, unknown[]>();

/** Remembers that this socket has closed, until it connects again. */
export function watched<T extends EventEmitter>(socket: T): T {
  socket.on('close', (...args: unknown[]) => closes.set(socket, args));
  socket.on('connect', () => closes.delete(socket));
  return socket;
}

function happened(emitter: EventEmitter, name: string): unknown[] | undefined {
  const { readableEnded, writableFinished } = emitter as Partial<Duplex>;
  if ((name === 'end' && readableEnded === true) || (name === 'finish' && writableFinished === true)) return [];
  return name === 'close' ? closes.get(emitter) : undefined;
}

/** The error a socket emits; an 'error' that is waited for does not fail the test. */
export async function errorOf(emitter: EventEmitter): Promise<NodeJS.ErrnoException> {
  const [error] = await event(emitter, 'error');
  return error as NodeJS.ErrnoException;
}

/** Resolves when the condition holds, looking at it from the loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

/** Resolves when `sample` has not changed for `ms`. A stall makes it return early, so assert only what holds at any time. */
export async function settled(sample: () => unknown, ms = 150): Promise<void> {
  let last = sample();
  for (let since = Date.now(); Date.now() - since < ms; ) {
    await delay(10);
    const now = sample();
    if (now !== last) {
      last = now;
      since = Date.now();
    }
  }
}

/** A few turns of the loop: enough for what is already under way in this process, not a promise about the peer. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** Writes down the names of these events as they happen; 'close' and 'error' with their argument. */
export function record(emitter: EventEmitter, names = ['end', 'finish', 'error', 'close']): string[] {
  const seen: string[] = [];
  for (const name of names) {
    emitter.on(name, (argument?: unknown) => {
      if (argument instanceof Error) seen.push(`${name} ${(argument as NodeJS.ErrnoException).code ?? argument.message}`);
      else seen.push(typeof argument === 'boolean' ? `${name} ${argument}` : name);
    });
  }
  return seen;
}

/** Everything up to 'end'. Chunks are kept, not copied: one that changes after it was delivered shows. */
export async function collect(socket: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await event(socket, 'end');
  return Buffer.concat(chunks);
}

/** The next `length` bytes; the socket is paused afterwards. */
export function take(socket: Readable, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const done = (error?: Error): void => {
      socket.off('data', onData).off('error', done).off('close', onClose);
      if (error) reject(error);
    };
    const onClose = (): void => done(new Error(`closed after ${received} of ${length} bytes`));
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      received += chunk.length;
      if (received < length) return;
      done();
      socket.pause();
      const all = Buffer.concat(chunks);
      if (received > length) socket.unshift(all.subarray(length));
      resolve(all.subarray(0, length));
    };
    socket.on('data', onData).on('error', done).on('close', onClose);
    socket.resume();
  });
}
