// smcd-environment.ts - one event loop as a peer: its instance id, its Unix listener, its hub and its link groups.

import { randomBytes } from 'node:crypto';
import { getSystemErrorName } from 'node:util';
import { type ClcProposal, type Decline, decline, proposalOf, REASONS } from '@smcjs/core/backend';
import { type Addon, ECONNREFUSED, isDecline, loadAddon, type NativeControl } from './addon.js';
import { Hub } from './hub.js';
import { kernelLacks } from './kernel.js';
import { LinkGroup, type LinkGroupEvents } from './link-group.js';
import type { ControlMessage } from './messages.js';
import { Registry } from './registry.js';
import { findRuntimeDir } from './runtime-dir.js';

type Offer = Extract<ControlMessage, { type: 'offer' }>;

/** A connect() that waits to be offered a ring. */
export interface OfferTaker {
  /** Users, beside our own, whose offers it takes. */
  readonly peerUsers: readonly number[];
  offered(group: LinkGroup, offer: Offer): void;
  declined(diagnosis: number): void;
}

/** Connections taken from the listener per turn. */
const ACCEPTS_PER_TURN = 64;
/** What dead loops left is removed so long after this one began. */
const SWEEP_AFTER_MS = 1_000;
/** A link group without connections is kept this long for the next one. */
const IDLE_LINK_GROUP_MS = 60_000;

export class SmcdEnvironment {
  readonly addon: Addon;
  readonly hub: Hub;
  readonly registry: Registry;
  /** Who we are: 128 random bits, the GID of an emulated ISM device. */
  readonly instance: Buffer;
  readonly name: string;
  readonly proposal: ClcProposal;
  /** Connects that wait for an offer, by the name they left. */
  readonly takers = new Map<string, OfferTaker>();

  readonly #uid = process.getuid?.() ?? -1;
  /** Users that any connect() of this loop shares memory with. */
  readonly #peerUsers = new Set<number>();
  readonly #serving = new Map<number, LinkGroup[]>();
  readonly #listener: NativeControl;

  private constructor(addon: Addon, registry: Registry, instance: Buffer, listener: number) {
    this.addon = addon;
    this.registry = registry;
    this.instance = instance;
    this.name = instance.toString('hex');
    this.proposal = proposalOf(instance);
    this.hub = new Hub(addon);
    this.#listener = new addon.Control(listener, true, () => this.#accept());
    process.on('exit', () => this.#leave());
  }

  /** Makes this loop a peer, or says why it can't be one. */
  static enter(): SmcdEnvironment | Decline {
    const addon = loadAddon();
    if (isDecline(addon)) return addon;
    const found = findRuntimeDir();
    if ('refused' in found) return decline('smcd', 'local', 'runtime-dir', found.refused);
    const directory = addon.openDirectory(found.path);
    if (directory < 0) return decline('smcd', 'local', 'runtime-dir', `${found.path}: ${getSystemErrorName(directory)}`);
    const lacking = kernelLacks(addon);
    if (lacking !== undefined) {
      addon.closeDescriptor(directory);
      return lacking;
    }
    // Receivers allocate and drop gigabytes per second: 1.4 times the bytes of a stream of 64 KiB chunks.
    addon.keepFreedMemory();
    const registry = new Registry(addon, directory, found.path);
    const instance = randomBytes(16);
    const entered = registry.enter(instance.toString('hex'));
    if (typeof entered === 'number') {
      addon.closeDescriptor(directory);
      return decline('smcd', 'local', 'runtime-dir', `${found.path}: ${getSystemErrorName(entered)}`);
    }
    // Not now: the loop is busy all through a first contact.
    setTimeout(() => registry.sweep(), SWEEP_AFTER_MS).unref();
    return new SmcdEnvironment(addon, registry, instance, entered.listener);
  }

  /** Does this user share memory with `uid`, given its option `peerUsers`? */
  allows(uid: number | undefined, peerUsers: readonly number[]): boolean {
    return uid === this.#uid || (uid !== undefined && peerUsers.includes(uid));
  }

  /** Lets these users dial this loop, from now on. */
  expectUsers(peerUsers: readonly number[]): void {
    if (peerUsers.length > 0 && this.#peerUsers.size === 0) this.registry.openListener(this.name);
    for (const uid of peerUsers) this.#peerUsers.add(uid);
  }

  /** A link group with room, for the client that left this name for its connection; dials when there is none. */
  serve(inode: number, name: string, tuple: Buffer, peerUsers: readonly number[]): LinkGroup | 'foreign' | undefined {
    const groups = this.#serving.get(inode) ?? [];
    const known = groups.find((group) => !group.full && !group.lost);
    if (known !== undefined) {
      if (this.allows(known.peerUser, peerUsers)) return known;
      known.decline(tuple, REASONS['foreign-user'].code);
      return 'foreign';
    }
    const fd = this.addon.connectUnix(this.registry.directory, name);
    if (fd < 0) {
      if (fd === ECONNREFUSED) this.registry.unlinkName(name); // kill -9 left it
      return undefined;
    }
    const group = this.#newGroup({
      onLost: () => {
        const rest = (this.#serving.get(inode) ?? []).filter((other) => other !== group);
        if (rest.length > 0) this.#serving.set(inode, rest);
        else this.#serving.delete(inode);
      },
    });
    const started = group.start(fd, (uid) => this.allows(uid, peerUsers));
    if (started !== true) {
      if (started === 'foreign') group.declineForeign(tuple);
      else group.end();
      return started === 'foreign' ? 'foreign' : undefined;
    }
    this.#serving.set(inode, [...groups, group]);
    expireWhenIdle(group);
    return group;
  }

  /** Every doorbell and descriptor this loop holds, for stats. */
  get linkGroups(): number {
    return [...this.#serving.values()].reduce((count, groups) => count + groups.length, 0);
  }

  #newGroup(events: LinkGroupEvents): LinkGroup {
    return new LinkGroup(this.addon, this.hub, this.instance, events);
  }

  #accept(): void {
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      const fd = this.#listener.accept();
      if (fd < 0) return;
      const group = this.#newGroup({
        onOffer: (from, offer) => {
          const taker = this.takers.get(this.registry.tupleName(offer.tuple));
          if (taker === undefined || !this.allows(from.peerUser, taker.peerUsers)) from.refuse(offer.token);
          else taker.offered(from, offer);
        },
        onDecline: ({ tuple, diagnosis }) => this.takers.get(this.registry.tupleName(tuple))?.declined(diagnosis),
        onLost: () => {},
      });
      if (group.start(fd, (uid) => uid === this.#uid || this.#peerUsers.has(uid)) !== true) group.end();
    }
  }

  #leave(): void {
    for (const name of this.takers.keys()) this.registry.unlinkName(name);
    this.registry.leave(this.name);
    this.addon.exiting();
  }
}

/** Ends a link group that has had no connection for a while. One timer per link group, and only while it is idle. */
function expireWhenIdle(group: LinkGroup): void {
  let timer: NodeJS.Timeout | undefined;
  group.onUse = (used) => {
    if (used > 0 || group.lost) {
      clearTimeout(timer);
      timer = undefined;
    } else timer ??= setTimeout(() => group.end(), IDLE_LINK_GROUP_MS).unref();
  };
  group.onUse(group.used);
}

let current: SmcdEnvironment | Decline | undefined;

/** This event loop's environment (modules are per loop); made when first needed. */
export function smcdEnvironment(): SmcdEnvironment | Decline {
  current ??= SmcdEnvironment.enter();
  return current;
}
