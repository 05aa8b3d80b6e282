// peer-group.ts - a link group of this loop with what it is made from and the channels over it: the owner of a GroupDriver.
//
// Each group has protection domains of its own, so its peer's keys reach no other group's memory.

import { randomBytes } from 'node:crypto';
import { HEADER_BYTES, initialise, RING_SIZE_MAX, type RingMemory } from '@smcjs/core/backend';
import type { Agreement, ElementEnd } from '../clc/index.js';
import { GroupDriver, type LinkPath, loopClock, type SharedMemory } from '../driver/index.js';
import type { Element, Link, LinkEnd, LinkGroup, Member } from '../group/index.js';
import type { AsyncEvent, VerbsContext } from '../verbs-provider.js';
import type { Way } from './devices.js';
import type { Hub } from './hub.js';
import { SmcrChannel } from './smcr-channel.js';

/** What became of a step of the first contact: the link, or the diagnosis to decline with. */
type Reached = Link | number;

/** What the group asks of its environment. */
export interface PeerGroupOwner {
  readonly hub: Hub;
  /** It has ended, or its first contact has failed: it is no more to be found. */
  gone(group: PeerGroup): void;
  /** It uses a device from now on (+1), or does no more (-1). */
  countDevice(context: VerbsContext, change: 1 | -1): void;
}

export interface FoundingOptions {
  readonly role: 'client' | 'server';
  readonly agreement: Agreement;
  readonly peerId: Uint8Array;
  readonly ways: readonly Way[];
  /** The peer's IP address. */
  readonly remote: string;
}

/** A one-time answer that may come before anybody asks. */
class Answer<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

const header = (): Int32Array => new Int32Array(HEADER_BYTES / 4);

export class PeerGroup {
  readonly driver: GroupDriver;
  readonly agreement: Agreement;
  readonly remote: string;
  readonly channels = new Map<Member, SmcrChannel>();
  readonly #owner: PeerGroupOwner;
  readonly #paths: readonly LinkPath[];
  readonly #reachable = new Answer<Reached>();
  readonly #established = new Answer<number | undefined>();
  /** Bytes of the last send buffer that was asked for. */
  #lastSent = 0;

  private constructor(owner: PeerGroupOwner, { role, agreement, peerId, remote }: FoundingOptions, paths: readonly LinkPath[]) {
    this.#owner = owner;
    this.agreement = agreement;
    this.remote = remote;
    this.#paths = paths;
    this.driver = new GroupDriver({
      role,
      version: agreement.version,
      peerId,
      maxConns: agreement.maxConns,
      maxLinks: agreement.maxLinks,
      seed: randomBytes(4).readUInt32LE(),
      paths,
      clock: loopClock,
      randomPsn: () => randomBytes(3).readUIntLE(0, 3),
      events: {
        reachable: (link) => this.#reachable.resolve(link),
        established: () => this.#established.resolve(undefined),
        failed: (diagnosis) => this.#over(diagnosis),
        news: (member, bits) => this.channels.get(member)?.onNews(bits),
        removed: (member) => {
          this.channels.get(member)?.onRemoved();
          this.channels.delete(member);
        },
        ended: () => this.#over(0x09990000),
        waking: () => owner.hub.waking(),
        woken: () => owner.hub.woken(),
      },
    });
    owner.hub.add(this.driver);
    for (const { context } of paths) owner.countDevice(context, 1);
  }

  /** A group that does nothing yet. Rejects when a device takes no protection domain. */
  static async make(owner: PeerGroupOwner, options: FoundingOptions): Promise<PeerGroup> {
    const paths: LinkPath[] = [];
    try {
      for (const { context, port, gid } of options.ways) {
        paths.push({ context, pd: await context.allocatePd(), port: port.number, gid, mtu: port.activeMtu });
      }
    } catch (error) {
      if (paths.length === 0) throw error;
    }
    return new PeerGroup(owner, options, paths);
  }

  /** Are all devices it can use among these? None: all are. One that does not work just now, or is gone, is no reason against it. */
  staysOn(rdmaDevices: readonly string[]): boolean {
    return rdmaDevices.length === 0 || this.#paths.every(({ context }) => rdmaDevices.includes(context.device.name));
  }

  /** Has none of these devices been opened anew since? A group keeps those that it was made with. */
  isCurrent(ways: readonly Way[]): boolean {
    return ways.every(({ context }) =>
      this.#paths.every((path) => path.context === context || path.context.device.name !== context.device.name),
    );
  }

  /** Begins the first contact; a client knows `peer` from the Accept. */
  start(peer: LinkEnd | undefined): void {
    this.group.start(this.driver.now, peer);
  }

  get group(): LinkGroup {
    return this.driver.group;
  }

  /** The first link can be named in CLC. */
  reachable(): Promise<Reached> {
    return this.#reachable.promise;
  }

  /** Undefined when the first link is confirmed; else the diagnosis to decline with. */
  established(): Promise<number | undefined> {
    return this.#established.promise;
  }

  /** An element of ours that the peer knows, or undefined. */
  element(size: number): Promise<Element | undefined> {
    return new Promise((resolve) => this.group.elements.take(size, this.driver.now, resolve));
  }

  /** A send buffer for a peer's element of this size: as large, but no larger than any of ours. `had`: taken if it fits, else given back. */
  async sendBuffer(size: number, had?: SharedMemory): Promise<SharedMemory> {
    this.#lastSent = Math.min(size, RING_SIZE_MAX);
    if (had?.region.length === this.#lastSent) return had;
    if (had !== undefined) this.driver.releaseBuffer(had);
    return this.driver.sendBuffer(this.#lastSent);
  }

  /** One for an element that is not known yet: those of a peer mostly have one size. Undefined before its first. */
  async nextSendBuffer(): Promise<SharedMemory | undefined> {
    return this.#lastSent === 0 ? undefined : this.driver.sendBuffer(this.#lastSent);
  }

  /** The connection, with its rings. Undefined when the peer has told of too many RMBs. */
  join(link: Link, element: Element, token: number, theirs: ElementEnd, buffer: SharedMemory): SmcrChannel | undefined {
    const { driver, group } = this;
    const rtoken = group.rtoken(link, theirs.rkey, theirs.address);
    if (rtoken === undefined) return undefined;
    const sent = buffer.region.length;
    const { elementSize } = element.rmb;
    const tx: RingMemory = { words: header(), data: buffer.region.bytes.subarray(0, sent), capacity: sent, mirrored: false };
    const data = driver.elementBytes(element.rmb, element.index);
    const rx: RingMemory = { words: header(), data, capacity: elementSize, mirrored: false };
    initialise(tx);
    initialise(rx);
    const peer = { rtoken, index: theirs.index, size: theirs.size };
    const member = group.add({ token, peerToken: theirs.token, tx, rx, peerRmbeSize: theirs.size }, link, element, peer);
    driver.bind(member, buffer);
    const channel = new SmcrChannel(this.#owner.hub, driver, member, tx, rx, driver.useMemory(element.rmb, buffer));
    this.channels.set(member, channel);
    return channel;
  }

  deviceEvent(context: VerbsContext, event: AsyncEvent): void {
    this.driver.deviceEvent(context, event);
  }

  /** The group is of no use: its first contact is given up, or it ends with all its connections. */
  end(reason: number): void {
    this.group.end(reason);
  }

  #over(diagnosis: number): void {
    this.#reachable.resolve(diagnosis);
    this.#established.resolve(diagnosis);
    this.#owner.gone(this);
    void this.#release();
  }

  /** Channels keep their memory until they are closed. */
  async #release(): Promise<void> {
    await this.driver.finished();
    this.#owner.hub.delete(this.driver);
    for (const { pd } of this.#paths) await pd.release().catch(() => {});
    for (const { context } of this.#paths) this.#owner.countDevice(context, -1);
  }
}
