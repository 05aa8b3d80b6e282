// bpf.ts - the commands of bpf(2) that are used, with the layouts of their attributes (union bpf_attr of linux/bpf.h). A result
// is a descriptor or 0; failures are negative errno, and what they mean is for the caller to say.

import { endianness } from 'node:os';
import { type Addon, isAddon, loadAddon } from '../verbs/addon.js';
import { SetupError } from './setup-error.js';

const LITTLE = endianness() === 'LE';

const COMMAND = {
  ...{ mapCreate: 0, lookup: 1, update: 2, progLoad: 5, pin: 6, get: 7, info: 15, btfLoad: 18, linkCreate: 28 },
} as const;
const MAP_SK_STORAGE = 24;
const PROG_SOCK_OPS = 13;
const CGROUP_SOCK_OPS = 3;
/** No preallocation, which this type demands; accepted sockets get a copy. */
const MAP_FLAGS = 0x001 | 0x200;

/** Bytes of a key, which is a descriptor, and of a value, which is a state. */
const WORD = 4;
const LOG_BYTES = 1 << 16;

/** Attributes: 32-bit fields by offset. Pointers are put in by the addon. */
function attributes(bytes: number, fields: Readonly<Record<number, number>>): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  for (const [offset, value] of Object.entries(fields)) view.setInt32(Number(offset), value, LITTLE);
  return new Uint8Array(view.buffer);
}

/** A text with its end, or one cut to `length` bytes for a name. */
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);

/** Names of objects: 15 letters, digits and '_'. */
function named(target: Uint8Array, offset: number, name: string): Uint8Array {
  target.set(Buffer.from(name).subarray(0, 15), offset);
  return target;
}

/**
 * The least BTF there is: one type, a 32-bit integer. Socket storage is not made without a type of key and value.
 *
 *     header 24: magic eb9f, version, flags, its length, types at 0 of 16 bytes, strings behind them | type | "\0int\0"
 */
function integerType(): Uint8Array {
  const strings = Buffer.from('\0int\0');
  const view = new DataView(new ArrayBuffer(24 + 16 + strings.length));
  view.setUint16(0, 0xeb9f, LITTLE);
  view.setUint8(2, 1);
  [24, 0, 16, 16, strings.length].forEach((value, index) => {
    view.setUint32(4 + 4 * index, value, LITTLE);
  });
  // Name at 1, kind 1 (integer), 4 bytes, 32 bits.
  [1, 1 << 24, WORD, 32].forEach((value, index) => {
    view.setUint32(24 + 4 * index, value, LITTLE);
  });
  const bytes = new Uint8Array(view.buffer);
  bytes.set(strings, 40);
  return bytes;
}

/** The addon of this package. @throws SetupError ERR_SMC_NO_ADDON */
export function addonOfOption(): Addon {
  const addon = loadAddon();
  if (!isAddon(addon)) throw new SetupError('ERR_SMC_NO_ADDON', addon.detail);
  return addon;
}

/** What the kernel says of a map. */
export interface MapInfo {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
}

export class Bpf {
  readonly #addon: Addon;

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  /** A descriptor of BTF for {@link createSocketStorage}. */
  loadIntegerType(): number {
    const btf = integerType();
    return this.#addon.bpf(COMMAND.btfLoad, attributes(28, { 16: btf.length }), 0, btf);
  }

  /** A map from sockets to one 32-bit word each. */
  createSocketStorage(name: string, btf: number): number {
    const fields = { 0: MAP_SK_STORAGE, 4: WORD, 8: WORD, 16: MAP_FLAGS, 48: btf, 52: 1, 56: 1 };
    return this.#addon.bpf(COMMAND.mapCreate, named(attributes(64, fields), 28, name));
  }

  /** Loads a sockops program; `log` has the verifier's words when it refuses. */
  loadSockOps(name: string, instructions: Uint8Array): { fd: number; log: string } {
    const log = new Uint8Array(LOG_BYTES);
    const fields = { 0: PROG_SOCK_OPS, 4: instructions.length / 8, 24: 1, 28: log.length, 68: CGROUP_SOCK_OPS };
    const into = named(attributes(72, fields), 48, name);
    const fd = this.#addon.bpf(COMMAND.progLoad, into, 8, instructions, 16, text('Apache-2.0'), 32, log);
    return { fd, log: Buffer.from(log).toString('latin1').replace(/\0.*$/s, '') };
  }

  /** Attaches a program to a cgroup, beside others, until the last descriptor and pin of the link are gone. */
  attach(program: number, cgroup: number): number {
    return this.#addon.bpf(COMMAND.linkCreate, attributes(16, { 0: program, 4: cgroup, 8: CGROUP_SOCK_OPS }));
  }

  pin(fd: number, path: string): number {
    return this.#addon.bpf(COMMAND.pin, attributes(16, { 8: fd }), 0, text(path));
  }

  /** A descriptor of what is pinned there. */
  get(path: string): number {
    return this.#addon.bpf(COMMAND.get, attributes(16, {}), 0, text(path));
  }

  /** undefined when it is no map. */
  mapInfo(fd: number): MapInfo | undefined {
    // type, id, key size, value size, entries, flags, name 16, ...
    const info = this.#info(fd, 80);
    return info === undefined
      ? undefined
      : { type: info.getUint32(0, LITTLE), keySize: info.getUint32(8, LITTLE), valueSize: info.getUint32(12, LITTLE) };
  }

  /** Its name, of the kind of PROGRAM_NAME; undefined when it is no program. */
  programName(fd: number): string | undefined {
    const info = this.#info(fd, 80);
    return info === undefined ? undefined : Buffer.from(info.buffer, 64, 16).toString('latin1').replace(/\0.*$/s, '');
  }

  isSocketStorage({ type, keySize, valueSize }: MapInfo): boolean {
    return type === MAP_SK_STORAGE && keySize === WORD && valueSize === WORD;
  }

  /** The word of one of our sockets; -ENOENT when it has none. The map must be socket storage. */
  lookup(map: number, socket: number): number {
    const value = new Uint8Array(WORD);
    const rc = this.#addon.bpf(COMMAND.lookup, attributes(32, { 0: map }), 8, word(socket), 16, value);
    return rc < 0 ? rc : new DataView(value.buffer).getUint32(0, LITTLE);
  }

  update(map: number, socket: number, value: number): number {
    return this.#addon.bpf(COMMAND.update, attributes(32, { 0: map }), 8, word(socket), 16, word(value));
  }

  #info(fd: number, bytes: number): DataView | undefined {
    const info = new Uint8Array(bytes);
    const rc = this.#addon.bpf(COMMAND.info, attributes(16, { 0: fd, 4: bytes }), 8, info);
    return rc < 0 ? undefined : new DataView(info.buffer);
  }
}

function word(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(WORD));
  view.setInt32(0, value, LITTLE);
  return new Uint8Array(view.buffer);
}
