// options.ts - every option of a connection or server: one row each, with its environment form.

import { inspect } from 'node:util';
import { SmcError } from './errors.js';
import { TRANSPORT_NAMES, type TransportName } from './transport/decline.js';

/** How long to poll for news before sleeping: learn it, never, or this many microseconds after the last activity. */
export type BusyPoll = 'auto' | 'off' | number;

/**
 * How two ends on different hosts know that the other speaks SMC. 'auto': by what needs no word of the user. 'inline': the
 * user says so; the client's first bytes are CLC, and the server looks whether they are.
 */
export type Discovery = 'auto' | 'inline';

/** Options this library adds to those of node:net. Every one can also be set by its environment variable. */
export interface SmcOptions {
  /** Transports that may be used, the server's order of preference. Env `SMC_TRANSPORTS` (comma separated). */
  transports?: readonly TransportName[];
  /** What happens when none of them can be used: plain TCP, or an error. Env `SMC_FALLBACK`. */
  fallback?: 'tcp' | 'error';
  /** Busy polling. Env `SMC_BUSY_POLL`. */
  busyPoll?: BusyPoll;
  /**
   * 'inline' at a client: the server is this library with 'inline', too; its first bytes are CLC, which any other server takes for
   * payload. At a server: the first bytes of every connection are looked at; what is not CLC is the program's. A client that says
   * nothing is given to 'connection' after `handshakeTimeout`: for protocols in which the client speaks first. Env `SMC_DISCOVERY`.
   */
  discovery?: Discovery;
  /** Milliseconds a client waits for a listener that left a marker to offer SMC. Env `SMC_DISCOVERY_WAIT`. */
  discoveryWait?: number;
  /** Milliseconds a CLC message may take to arrive (RFC 7609; Linux uses 6000). Env `SMC_HANDSHAKE_TIMEOUT`. */
  handshakeTimeout?: number;
  /** Bytes of this side's receive ring: a power of two, 16 KiB to 4 MiB. Env `SMC_RING_SIZE`. */
  ringSize?: number;
  /**
   * Users, beside this process's own, whose processes may share memory with it: their ids. Both ends have to allow each
   * other. Env `SMC_PEER_USERS` (comma separated).
   */
  peerUsers?: readonly number[];
  /**
   * Enterprise ids (UEIDs), 1 to 4: SMC-R is used between ends that have one in common, the client's first. Env `SMC_UEIDS` (comma
   * separated).
   */
  ueids?: readonly string[];
  /**
   * RDMA devices that may be used, by name (`rdma link`); none named: all. Two links are made where two devices can be used, which
   * is what a connection survives the death of one by. Env `SMC_RDMA_DEVICES` (comma separated).
   */
  rdmaDevices?: readonly string[];
}

/** All options with their values. */
export type ResolvedOptions = Readonly<Required<SmcOptions>>;

interface OptionRow<K extends keyof SmcOptions> {
  readonly default: Required<SmcOptions>[K];
  readonly env: string;
  /** What is accepted, for the error message. */
  readonly accepts: string;
  readonly valid: (value: unknown) => boolean;
  readonly parse: (text: string) => unknown;
}

const number = (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text);
const between = (low: number, high: number) => (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;

/** What the kernel shows of a user it has no id for here, of another user namespace: that may be anybody. */
const OVERFLOW_UID = 65534;

export const RING_SIZE_MIN = 16 * 1024;
export const RING_SIZE_MAX = 4 * 1024 * 1024;

export const OPTIONS: { readonly [K in keyof Required<SmcOptions>]: OptionRow<K> } = {
  transports: {
    default: TRANSPORT_NAMES,
    env: 'SMC_TRANSPORTS',
    accepts: `a non-empty list without repeats of ${TRANSPORT_NAMES.join(', ')}`,
    valid: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      new Set(value).size === value.length &&
      value.every((name) => (TRANSPORT_NAMES as readonly unknown[]).includes(name)),
    parse: (text) => text.split(',').map((name) => name.trim()),
  },
  fallback: {
    default: 'tcp',
    env: 'SMC_FALLBACK',
    accepts: "'tcp' or 'error'",
    valid: (value) => value === 'tcp' || value === 'error',
    parse: (text) => text,
  },
  busyPoll: {
    default: 'auto',
    env: 'SMC_BUSY_POLL',
    accepts: "'auto', 'off' or 0 to 1000000 microseconds",
    valid: (value) => value === 'auto' || value === 'off' || between(0, 1_000_000)(value),
    parse: number,
  },
  discovery: {
    default: 'auto',
    env: 'SMC_DISCOVERY',
    accepts: "'auto' or 'inline'",
    valid: (value) => value === 'auto' || value === 'inline',
    parse: (text) => text,
  },
  discoveryWait: {
    default: 200,
    env: 'SMC_DISCOVERY_WAIT',
    accepts: '0 to 60000 milliseconds',
    valid: between(0, 60_000),
    parse: number,
  },
  handshakeTimeout: {
    default: 6000,
    env: 'SMC_HANDSHAKE_TIMEOUT',
    accepts: '1 to 600000 milliseconds',
    valid: between(1, 600_000),
    parse: number,
  },
  ringSize: {
    // 256 KiB was best or near best for 16-64 KiB chunks; 64 MiB falls out of the cache.
    default: 256 * 1024,
    env: 'SMC_RING_SIZE',
    accepts: `a power of two from ${RING_SIZE_MIN} to ${RING_SIZE_MAX} bytes`,
    valid: (value) => between(RING_SIZE_MIN, RING_SIZE_MAX)(value) && ((value as number) & ((value as number) - 1)) === 0,
    parse: number,
  },
  peerUsers: {
    default: [],
    env: 'SMC_PEER_USERS',
    accepts: `a list without repeats of user ids, 0 to ${2 ** 32 - 2}, not ${OVERFLOW_UID}`,
    valid: (value) =>
      Array.isArray(value) &&
      new Set(value).size === value.length &&
      value.every((uid) => between(0, 2 ** 32 - 2)(uid) && uid !== OVERFLOW_UID),
    parse: (text) => text.split(',').map((uid) => number(uid.trim())),
  },
  ueids: {
    default: ['SMCJS'],
    env: 'SMC_UEIDS',
    accepts: 'a list without repeats of 1 to 4 names: up to 32 capitals, digits, dots and hyphens, a capital or digit first',
    valid: (value) =>
      Array.isArray(value) &&
      value.length >= 1 &&
      value.length <= 4 &&
      new Set(value).size === value.length &&
      value.every((name) => typeof name === 'string' && /^[A-Z0-9][A-Z0-9.-]{0,31}$/.test(name)),
    parse: (text) => text.split(',').map((name) => name.trim()),
  },
  rdmaDevices: {
    default: [],
    env: 'SMC_RDMA_DEVICES',
    accepts: 'a list without repeats of names of devices',
    valid: (value) =>
      Array.isArray(value) &&
      new Set(value).size === value.length &&
      value.every((name) => typeof name === 'string' && /^[^\s,/]{1,64}$/.test(name)),
    parse: (text) => text.split(',').map((name) => name.trim()),
  },
};

function check<K extends keyof SmcOptions>(name: K, value: unknown, source: string): ResolvedOptions[K] {
  const row: OptionRow<K> = OPTIONS[name];
  if (row.valid(value)) return value as ResolvedOptions[K];
  throw new SmcError('ERR_SMC_INVALID_OPTION', `${source} must be ${row.accepts}; got ${inspect(value)}`);
}

function fromEnvironment<K extends keyof SmcOptions>(name: K): ResolvedOptions[K] {
  const row: OptionRow<K> = OPTIONS[name];
  const text = process.env[row.env];
  return text === undefined || text === '' ? row.default : check(name, row.parse(text), `environment variable ${row.env}`);
}

const NAMES = Object.keys(OPTIONS) as (keyof SmcOptions)[];
let defaults: ResolvedOptions | undefined;

/**
 * The last answer: who connects again and again gives the same options each time, and checking them took 4 us, a tenth of a
 * connect over TCP.
 */
let last:
  | { readonly given: Readonly<Record<string, unknown>>; readonly base: ResolvedOptions; readonly resolved: ResolvedOptions }
  | undefined;

const sameValue = (one: unknown, other: unknown): boolean =>
  one === other || (Array.isArray(one) && Array.isArray(other) && one.length === other.length && one.every((item, i) => item === other[i]));

/**
 * Fills in what the caller left out, from the environment (read once, when first needed) and then from the table. The lists
 * in the result are copies: what the caller does with its own later changes nothing.
 *
 * @throws SmcError `ERR_SMC_INVALID_OPTION`, synchronously, naming the option or the variable.
 */
export function resolveOptions(given: SmcOptions | undefined, base?: ResolvedOptions): ResolvedOptions {
  if (base === undefined) {
    defaults ??= Object.freeze(Object.fromEntries(NAMES.map((name) => [name, fromEnvironment(name)]))) as unknown as ResolvedOptions;
    base = defaults;
  }
  if (given === undefined || NAMES.every((name) => given[name] === undefined)) return base;
  if (last?.base === base && NAMES.every((name) => sameValue(given[name], last?.given[name]))) return last.resolved;
  const asked: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = given[name];
    if (value === undefined) continue;
    const checked: unknown = check(name, value, `option ${name}`);
    asked[name] = Array.isArray(checked) ? Object.freeze([...checked]) : checked;
  }
  const resolved = Object.freeze({ ...base, ...asked });
  last = { given: asked, base, resolved };
  return resolved;
}

/** Is a connection that ends on TCP an error? With `fallback: 'error'` it is, unless TCP was asked for by name. */
export function refusesTcp({ fallback, transports }: ResolvedOptions): boolean {
  return fallback === 'error' && (transports === OPTIONS.transports.default || !transports.includes('tcp'));
}
