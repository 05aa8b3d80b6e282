// checks.ts - what callers pass on to verbs, checked before it gets there: numbers that do not fit their field would be cut off
// silently.

/** An error of a verb that was not even asked, shaped like node's own. */
export function verbsError(code: 'EBADF' | 'EINVAL' | 'ENOTSUP', syscall: string, what: string): NodeJS.ErrnoException {
  const errno = { EBADF: -9, EINVAL: -22, ENOTSUP: -95 }[code];
  return Object.assign(new Error(`${code}: ${what}, ${syscall}`), { code, errno, syscall });
}

/** Throws EINVAL for a number that is no integer from 0 (or `low`) to `high`. */
export function check(syscall: string, fields: Readonly<Record<string, readonly [value: number, high: number, low?: number]>>): void {
  for (const [name, [value, high, low = 0]] of Object.entries(fields)) {
    if (Number.isInteger(value) && value >= low && value <= high) continue;
    throw verbsError('EINVAL', syscall, `${name} must be an integer from ${low} to ${high}, not ${String(value)}`);
  }
}

export const BITS8 = 0xff;
export const BITS16 = 0xffff;
export const BITS24 = 0xff_ffff;
export const BITS32 = 0xffff_ffff;

const length = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')?.get as (this: unknown) => number;

/** Elements of a typed array as V8 has it, whatever its own properties say; 0 when it is detached. */
export function lengthOf(array: Uint8Array | Uint32Array): number {
  return length.call(array);
}
