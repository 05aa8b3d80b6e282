// addon.ts - the native addon: its typed surface and how it is found. A failure is a value, not an exception: it becomes
// a decline that lists every attempt.

import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Decline, decline } from '@smcjs/core/backend';

/** A watched Unix socket, see native/src/control.cc. */
export interface NativeControl {
  /** 0 or -errno. The descriptors stay the caller's. */
  send(bytes: Uint8Array, descriptors: readonly number[]): number;
  /** Wakes the peer's loop. */
  ring(): void;
  accept(): number;
  credentials(): [pid: number, uid: number, gid: number] | number;
  close(): void;
}

/** One per event loop, see native/src/hub.cc. */
export interface NativeHub {
  attach(ownPage: ArrayBuffer, peerPage: ArrayBuffer): number;
  detach(index: number): number;
  close(): void;
}

/** What TypeScript can't reach. Numbers below 0 are -errno. */
export interface Addon {
  readonly Control: new (fd: number, listening: boolean, callback: (message?: Buffer, descriptors?: number[]) => void) => NativeControl;
  readonly Hub: new (state: Int32Array, onNews: () => void) => NativeHub;
  createSegment(bytes: number): number;
  checkSegment(fd: number, bytes: number): number;
  mapSegment(fd: number, bytes: number): ArrayBuffer | number;
  mirror(segment: ArrayBuffer, offset: number, length: number): ArrayBuffer | number;
  unmap(buffer: ArrayBuffer): number;
  /** Copies a large piece into a ring the way that is quickest between the processors that share it. */
  copyIn(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number;
  /** Another descriptor of the same file, for {@link closeDescriptor}; closed at the latest with the environment. */
  keepDescriptor(fd: number): number;
  closeDescriptor(fd: number): number;
  keepFreedMemory(): void;
  /** The process or worker has emitted 'exit': nothing is called back any more. */
  exiting(): void;
  openDirectory(path: string): number;
  link(directory: number, existing: string, name: string): number;
  unlink(directory: number, name: string): number;
  inode(directory: number, name: string): number;
  openMarker(directory: number, name: string): number;
  lockMarker(fd: number, offset: number): number;
  sameFile(fd: number, directory: number, name: string): number;
  claimMarker(directory: number, name: string): number;
  queryMarker(directory: number, name: string, ...offsets: number[]): number;
  listenUnix(directory: number, name: string): number;
  connectUnix(directory: number, name: string): number;
  acceptedTuple(fd: number, out: Uint8Array): number;
  bindSource(address: string, port: number, out: Uint8Array): number;
  saveSyn(fd: number): number;
  acceptedTimestamp(fd: number): number;
  timestamp(fd: number): number;
}

/** Where the addon may be: `SMC_ADDON` alone if set, else what the package ships for this platform. */
function candidates(): string[] {
  const own = process.env.SMC_ADDON;
  if (own !== undefined && own !== '') return [own];
  const base = `${process.platform}-${process.arch}`;
  return [base, `${base}-musl`].map((name) => fileURLToPath(new URL(`../prebuilds/${name}/smcd.node`, import.meta.url)));
}

let loaded: Addon | Decline | undefined;

/** Loads the addon once. A Decline when it cannot be had. */
export function loadAddon(): Addon | Decline {
  loaded ??= tryLoad();
  return loaded;
}

function tryLoad(): Addon | Decline {
  if (process.platform !== 'linux') return decline('smcd', 'local', 'unsupported-os', `SMC-D needs Linux; this is ${process.platform}`);
  const require = createRequire(import.meta.url);
  const attempts: string[] = [];
  for (const path of candidates()) {
    try {
      return require(path) as Addon;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_ACCESS_DENIED' || code === 'ERR_DLOPEN_DISABLED') return decline('smcd', 'local', 'permission', message);
      attempts.push(`${path}: ${message.split('\n')[0]}`);
    }
  }
  return decline('smcd', 'local', 'no-addon', attempts.join('; '));
}

export function isDecline(value: object): value is Decline {
  return 'reason' in value && 'transport' in value;
}

/**
 * Results of system calls that mean more than failure: the queue of a socket is full or a lock is held; there is no memory
 * now; nobody listens.
 */
export const EAGAIN = -constants.errno.EAGAIN;
export const ENOMEM = -constants.errno.ENOMEM;
export const ECONNREFUSED = -constants.errno.ECONNREFUSED;
