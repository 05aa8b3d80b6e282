// given.ts - what a caller gives, looked at before anything is done with it: without a compiler anything may be missing, and a
// TypeError from inside would not say what.

import { inspect } from 'node:util';
import { SmcError } from './errors.js';

/** @throws SmcError `ERR_SMC_INVALID_OPTION` with the name of the argument, unless `fits`. */
export function expected(fits: boolean, call: string, argument: string, accepts: string, got: unknown): asserts fits {
  if (fits) return;
  const shown = inspect(got, { depth: 0, maxArrayLength: 3, maxStringLength: 40, breakLength: Number.POSITIVE_INFINITY });
  throw new SmcError('ERR_SMC_INVALID_OPTION', `${call}: ${argument} must be ${accepts}; got ${shown}`);
}

const has = (value: unknown, ...methods: string[]): boolean =>
  typeof value === 'object' && value !== null && methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');

/** By what is used of it: signals of other realms and libraries do as well. */
export const isSignal = (value: unknown): boolean => has(value, 'addEventListener', 'removeEventListener');

/** What emits events and may have a ring: whether it has one only its state tells. */
export function expectConnection(end: unknown, call: string): void {
  expected(has(end, 'on', 'off'), call, 'end', 'a connection: a socket or the end of a channel', end);
}

export function expectDuplex(end: unknown, call: string): void {
  expected(has(end, 'on', 'off', 'read', 'write'), call, 'end', 'a connection: a socket, the end of a channel or a Duplex', end);
}

export function expectPool(pool: unknown, call: string): void {
  expected(has(pool, 'run'), call, 'pool', 'a pool with a run(), as a Piscina', pool);
}

export function expectFunction(value: unknown, call: string, argument: string): void {
  expected(typeof value === 'function', call, argument, 'a function', value);
}

/** What is left out is undefined: null is a mistake. */
export function expectOptions(options: unknown, call: string, argument = 'options'): void {
  expected(typeof options === 'object' && options !== null, call, argument, 'an object', options);
}

export function expectIterable(value: unknown, call: string, argument: string, accepts: string): void {
  const iterable = typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
  expected(iterable, call, argument, accepts, value);
}

export function expectLimit(limit: unknown, call: string): void {
  const fits = limit === Number.POSITIVE_INFINITY || (Number.isInteger(limit) && (limit as number) > 0);
  expected(fits, call, 'limit', 'a number of records, at least 1', limit);
}
