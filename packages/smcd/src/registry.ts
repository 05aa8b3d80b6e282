// registry.ts - names in the runtime directory. All are of fixed length and made through a directory descriptor.
//
//   e-<instance>           one per event loop, byte 0 locked while it lives
//   l-<instance>           its Unix listener
//   c-<netns>-<tuple>      a hard link of a client's listener, from before connect() until the server has looked
//   m-<netns>-<uid>-<port> one per user and port that was ever listened on; each listener keeps one byte locked
//
// A lock ends with its owner, so what kill -9 leaves says nothing; it is swept by the next loop that listens, or that lives for a second.

import { chmodSync, fchmodSync, readdirSync, statSync } from 'node:fs';
import type { Endpoint, ListenEndpoint } from '@smcjs/core/backend';
import { type Addon, EAGAIN } from './addon.js';

/** Byte offsets in a marker: which addresses somebody listens on. Wildcards first, then one byte per address. */
const WILDCARD_4 = 0;
const WILDCARD_6 = 1;
const WILDCARD_DUAL = 2;
const FIRST_4 = 16;
const FIRST_6 = 2 ** 33;

/** Sweepers hold a file for microseconds. */
const LOCK_ATTEMPTS = 1000;

export class Registry {
  readonly #addon: Addon;
  readonly #directory: number;
  readonly #path: string;
  readonly #netns: string;
  /** Of whom our markers are. */
  readonly #uid = process.getuid?.() ?? 0;

  constructor(addon: Addon, directory: number, path: string) {
    this.#addon = addon;
    this.#directory = directory;
    this.#path = path;
    this.#netns = networkNamespace();
  }

  get directory(): number {
    return this.#directory;
  }

  /** Makes the names of an event loop: the locked file, then the listener. Returns their descriptors, or -errno. */
  enter(instance: string): { life: number; listener: number } | number {
    const life = this.#lock(`e-${instance}`, 0);
    if (life < 0) return life;
    const listener = this.#addon.listenUnix(this.#directory, `l-${instance}`);
    if (listener >= 0) return { life, listener };
    this.leave(instance);
    this.#addon.closeDescriptor(life);
    return listener;
  }

  /**
   * Opens a file and holds a shared lock on one byte of it. A sweeper that came between opening and locking has removed
   * the file, or is about to: then it is made anew.
   */
  #lock(name: string, offset: number): number {
    let result = EAGAIN;
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
      const fd = this.#addon.openMarker(this.#directory, name);
      if (fd < 0) return fd;
      result = this.#addon.lockMarker(fd, offset);
      if (result === 0 && this.#addon.sameFile(fd, this.#directory, name) === 1) return fd;
      this.#addon.closeDescriptor(fd);
      if (result < 0 && result !== EAGAIN) return result;
    }
    return EAGAIN;
  }

  leave(instance: string): void {
    this.#addon.unlink(this.#directory, `l-${instance}`);
    this.#addon.unlink(this.#directory, `e-${instance}`);
  }

  tupleName(tuple: Buffer): string {
    return `c-${this.#netns}-${tuple.toString('base64url')}`;
  }

  /** Leaves the name by which the server of this connection finds our loop. 0 or -errno. */
  linkTuple(instance: string, name: string): number {
    return this.#addon.link(this.#directory, `l-${instance}`, name);
  }

  unlinkName(name: string): void {
    this.#addon.unlink(this.#directory, name);
  }

  /** Which loop left this name: the inode of its listener. Below 0: nobody did. */
  inode(name: string): number {
    return this.#addon.inode(this.#directory, name);
  }

  /** Marks an endpoint as listening; the descriptor holds the mark. -errno when it cannot be. `open`: for other users, too. */
  mark(endpoint: ListenEndpoint, open = false): number {
    const fd = this.#lock(this.#markerName(endpoint.port, this.#uid), listenOffset(endpoint));
    if (fd >= 0 && open) fchmodSync(fd, 0o644);
    return fd;
  }

  /** Lets other users dial this loop: who they are is looked at when they have. */
  openListener(instance: string): void {
    chmodSync(`/proc/self/fd/${this.#directory}/l-${instance}`, 0o666);
  }

  /** Does anybody of this user or `others` listen on this port? */
  marksPort(port: number, others: readonly number[] = []): boolean {
    return this.#marked(port, others, -1);
  }

  /** Does anybody of this user or `others` listen on an address that a connection to `to` would reach? */
  marks(to: Endpoint, others: readonly number[] = []): boolean {
    const wildcards = to.family === 4 ? [WILDCARD_4, WILDCARD_DUAL] : [WILDCARD_6, WILDCARD_DUAL];
    return this.#marked(to.port, others, addressOffset(to.address), ...wildcards);
  }

  #marked(port: number, others: readonly number[], ...offsets: number[]): boolean {
    const marked = (uid: number) => this.#addon.queryMarker(this.#directory, this.#markerName(port, uid), ...offsets) > 0;
    return marked(this.#uid) || others.some(marked);
  }

  /** Removes what dead loops left. Nothing that is alive is touched: its byte is locked, its listener's inode known. */
  sweep(): void {
    let names: string[];
    try {
      names = readdirSync(this.#path);
    } catch {
      return; // no longer readable: then there is nothing we could remove either
    }
    const alive = new Set<number>();
    for (const name of names) {
      if (name.startsWith('m-') || name.startsWith('e-')) {
        const claimed = this.#addon.claimMarker(this.#directory, name);
        if (claimed < 0) continue;
        if (name.startsWith('e-')) this.leave(name.slice(2));
        else this.#addon.unlink(this.#directory, name);
        this.#addon.closeDescriptor(claimed);
      }
    }
    for (const name of names) if (name.startsWith('l-')) alive.add(this.#addon.inode(this.#directory, name));
    for (const name of names) {
      if (name.startsWith('c-') && !alive.has(this.#addon.inode(this.#directory, name))) this.#addon.unlink(this.#directory, name);
    }
  }

  #markerName(port: number, uid: number): string {
    return `m-${this.#netns}-${uid}-${port.toString().padStart(5, '0')}`;
  }
}

/** The inode of our network namespace: equal addresses in two namespaces are different endpoints. */
function networkNamespace(): string {
  try {
    return (statSync('/proc/self/ns/net').ino >>> 0).toString(16).padStart(8, '0');
  } catch {
    return '00000000';
  }
}

function listenOffset(endpoint: ListenEndpoint): number {
  if (endpoint.address === '0.0.0.0') return WILDCARD_4;
  if (endpoint.address === '::') return endpoint.dual ? WILDCARD_DUAL : WILDCARD_6;
  return addressOffset(endpoint.address);
}

/** One byte per IPv4 address; IPv6 addresses share bytes by a hash, and a collision costs one wait for an offer. */
function addressOffset(address: string): number {
  // A colon tells: node:net's own test compiles a pattern for milliseconds when it is first used.
  if (!address.includes(':')) return FIRST_4 + address.split('.').reduce((value, part) => value * 256 + Number(part), 0);
  let hash = 0;
  for (const char of canonicalIPv6(address)) hash = (hash * 31 + char.charCodeAt(0)) % 0xffff_ffff;
  return FIRST_6 + hash;
}

function canonicalIPv6(address: string): string {
  return new URL(`http://[${address.split('%')[0]}]`).hostname;
}
