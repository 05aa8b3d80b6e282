// environment.ts - what one event loop is as a peer of SMC-R: its peer id, devices, link groups, and which group a connection uses.

import { randomBytes } from 'node:crypto';
import { CONN_STATE, decline, type Decline, type ResolvedOptions } from '@smcjs/core/backend';
import type { LocalTerms } from '../clc/index.js';
import { DELETE_REASON } from '../llc/index.js';
import { type Element, GroupRegistry, type LinkEnd, type LinkGroup, LLC_WAIT, makePeerId } from '../group/index.js';
import type { VerbsContext, VerbsProvider } from '../verbs-provider.js';
import { Devices, type Way } from './devices.js';
import { Hub } from './hub.js';
import { type FoundingOptions, PeerGroup, type PeerGroupOwner } from './peer-group.js';

/** What a group can have: elements of it are named by one byte. */
const MAX_CONNS = 255;
const MAX_LINKS = 2;
/** A process that exits waits so long for what it has sent to be acknowledged, milliseconds. */
const EXIT_WAIT = 500;

/** This end, for one connection. */
export interface LocalEnd {
  readonly terms: LocalTerms;
  /** Ways out, the terms' own first. */
  readonly ways: readonly Way[];
}

/** The group for a client's connection. Undefined is the element on a first contact: there is none before the first link. */
export interface Served {
  readonly group: PeerGroup;
  /** The caller's, to use or to give back. */
  readonly element: Promise<Element | undefined> | undefined;
}

export class SmcrEnvironment implements PeerGroupOwner {
  readonly hub = new Hub();
  readonly registry = new GroupRegistry();
  readonly #devices: Devices;
  readonly #groups = new Map<LinkGroup, PeerGroup>();
  /** First contacts under way, by who the client is: others of the same wait for the outcome. */
  readonly #founding = new Map<string, Promise<unknown>>();
  /** A locally administered MAC of our own, not the device's: two loops of a host must never have the same id. */
  readonly #peerId = makePeerId(ownMac(), randomBytes(2).readUInt16LE());

  constructor(provider: VerbsProvider) {
    this.#devices = new Devices(provider, (context, event) => {
      for (const group of [...this.#groups.values()]) group.deviceEvent(context, event);
    });
    process.on('exit', () => this.#exit());
  }

  /** What this end offers and accepts for a connection with this address of ours; or why nothing. */
  async local(address: string, { ueids, rdmaDevices }: ResolvedOptions): Promise<LocalEnd | Decline> {
    const ways = await this.#devices.ways(address, rdmaDevices);
    if ('reason' in ways) return ways;
    const [first] = ways;
    if (first === undefined) return decline('smcr', 'local', 'no-device');
    const { gid, mac } = first.gid;
    const maxLinks = Math.min(ways.length, MAX_LINKS);
    return { terms: { peerId: this.#peerId, gid, mac, ueids, maxConns: MAX_CONNS, maxLinks }, ways };
  }

  /** Client: the group and link that an Accept names; undefined when there is none. */
  known(peerId: Uint8Array, gid: Uint8Array, qpNumber: number): { group: PeerGroup; link: PeerGroup['group']['links'][0] } | undefined {
    const found = this.registry.forAccept(peerId, gid, qpNumber);
    const group = found && this.#groups.get(found.group);
    return group && found && { group, link: found.link };
  }

  /** A first contact. */
  async found(options: FoundingOptions, peer?: LinkEnd): Promise<PeerGroup> {
    const group = await PeerGroup.make(this, options);
    this.#groups.set(group.group, group);
    this.registry.add(group.group);
    group.start(peer);
    return group;
  }

  /**
   * Server: the group for a client, a new one when there is none with room. Whoever else of the same client comes while a first contact
   * is under way waits for it, so that connects in a burst share a group; but not for long, since anybody can claim to be that client.
   */
  async serve(gid: Uint8Array, options: FoundingOptions, { rdmaDevices, ringSize }: ResolvedOptions): Promise<Served> {
    const { peerId, remote } = options;
    const key = [peerId, gid].map((bytes) => Buffer.from(bytes).toString('hex')).join() + remote;
    const end = performance.now() + LLC_WAIT;
    for (;;) {
      const found = this.#serving(gid, options, rdmaDevices);
      // Asked for at once: all who have waited look for room in the same turn.
      if (found !== undefined) return { group: found, element: found.element(ringSize) };
      const pending = this.#founding.get(key);
      const left = end - performance.now();
      if (pending === undefined || left <= 0) break;
      await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, left).unref())]);
    }
    const founding = this.found(options);
    const settled = founding.then(
      (group) => group.established(),
      () => undefined,
    );
    this.#founding.set(key, settled);
    void settled.then(() => {
      if (this.#founding.get(key) === settled) this.#founding.delete(key);
    });
    return { group: await founding, element: undefined };
  }

  countDevice(context: VerbsContext, change: 1 | -1): void {
    this.#devices.count(context, change);
  }

  gone(group: PeerGroup): void {
    this.registry.delete(group.group);
    this.#groups.delete(group.group);
  }

  /**
   * A group with this client that has room, speaks the same version, crosses no other devices than this connection may, and was made with
   * the same host: anybody can claim a peer id.
   */
  #serving(gid: Uint8Array, options: FoundingOptions, rdmaDevices: readonly string[]): PeerGroup | undefined {
    const { agreement, peerId, remote, ways } = options;
    const found = this.registry.forProposal(peerId, gid, (group) => {
      const known = this.#groups.get(group);
      if (group.version !== agreement.version || known?.remote !== remote) return false;
      return known.staysOn(rdmaDevices) && known.isCurrent(ways);
    });
    return found && this.#groups.get(found);
  }

  /** What was written goes out, as a kernel would have seen to, and peers are told; then all devices end with the loop. */
  #exit(): void {
    const channels = [...this.#groups.values()].flatMap((group) => [...group.channels.values()]);
    for (const channel of channels) channel.abandon(channel.rx.available() > 0 && (channel.rx.state() & CONN_STATE.closed) === 0);
    const end = performance.now() + EXIT_WAIT;
    const groups = [...this.#groups.values()];
    const lookWhile = (waits: () => boolean) => {
      while (waits() && performance.now() < end) for (const { driver } of groups) driver.completions.look();
    };
    lookWhile(() => channels.some((channel) => channel.lingers || channel.member.connection.send.underway > 0));
    for (const group of groups) group.group.end(DELETE_REASON.programEnded, true);
    lookWhile(() => groups.some(({ driver }) => !driver.isIdle));
  }
}

function ownMac(): Uint8Array {
  const mac = randomBytes(6);
  mac[0] = ((mac[0] as number) & 0xfc) | 0x02;
  return mac;
}
