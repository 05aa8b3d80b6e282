// peers.ts - two peers with link groups on a simulated fabric, and connections between them, which CLC messages tell of as bytes.

import {
  type ClcAcceptConfirmR,
  type ClcProposal,
  CONN_STATE,
  decode,
  encode,
  HEADER_BYTES,
  initialise,
  RingConsumer,
  type RingMemory,
  RingProducer,
} from '@smcjs/core/backend';
import {
  type Agreement,
  agreedByAccept,
  choose,
  confirmMismatch,
  elementEndOf,
  linkEndOf,
  type LocalTerms,
  smcrAnswer,
  smcrProposal,
} from '../../src/clc/index.js';
import { NEWS } from '../../src/connection/index.js';
import { GroupDriver, type LinkPath } from '../../src/driver/index.js';
import { type Element, GroupRegistry, type Link, makePeerId, type Member, refuse } from '../../src/group/index.js';
import type { LlcVersion } from '../../src/llc/index.js';
import { payload, Verifier } from '../../../../test/support/random.js';
import { Fabric, type FabricOptions } from './fabric.js';
import { gidOf, type SimulatedContext, SimulatedProvider } from './provider.js';
import { VirtualTime } from './virtual-time.js';

export interface PeerOptions {
  readonly devices?: number;
  readonly maxLinks?: number;
  readonly maxConns?: number;
  readonly version?: LlcVersion;
}

export class Peer {
  readonly contexts: readonly SimulatedContext[];
  readonly host: number;
  readonly registry = new GroupRegistry();
  readonly local: LocalTerms;
  agreement: Agreement | undefined;
  driver!: GroupDriver;
  reachable: Link | undefined;
  established = false;
  failed: number | undefined;
  ended: number | undefined;
  readonly ends = new Map<Member, SimulatedEnd>();
  removed = 0;

  constructor(fabric: Fabric, host: number, role: 'client' | 'server', options: PeerOptions) {
    this.host = host;
    this.contexts = new SimulatedProvider(fabric, host, options.devices ?? 1).contexts;
    this.#options = { fabric, role, options };
    const v1 = { gid: gidOf(host, 0), ipv4: { prefix: Uint8Array.of(10, 0, 0, 0), length: 24 }, ipv6: [] };
    const mac = Uint8Array.of(2, 0, 0, 0, 0, host);
    this.local = {
      peerId: makePeerId(mac, host),
      gid: gidOf(host, 0),
      mac,
      ueids: ['TEST'],
      maxConns: options.maxConns ?? 255,
      maxLinks: options.maxLinks ?? 1,
      ...(options.version === 1 ? { v1 } : {}),
    };
  }
  readonly #options: { fabric: Fabric; role: 'client' | 'server'; options: PeerOptions };

  /** Opens the devices. */
  async open(): Promise<void> {
    const paths: LinkPath[] = [];
    for (const context of this.contexts) {
      const port = await context.queryPort(1);
      const gid = { ...(port.gids[0] as LinkPath['gid']) };
      paths.push({ context, pd: await context.allocatePd(), port: 1, gid, mtu: port.activeMtu });
    }
    this.#paths = paths;
  }
  #paths: LinkPath[] = [];

  /** A link group on what was agreed with a peer. */
  found(peerId: Uint8Array, agreement: Agreement): void {
    const { fabric, role } = this.#options;
    const paths = this.#paths;
    this.agreement = agreement;
    this.driver = new GroupDriver({
      role,
      ...agreement,
      peerId,
      seed: this.host * 1000,
      paths,
      clock: fabric.time,
      randomPsn: () => fabric.random.integer(0, 0xffffff),
      events: {
        reachable: (link) => (this.reachable = link),
        established: () => (this.established = true),
        failed: (diagnosis) => (this.failed = diagnosis),
        news: (member, bits) => this.ends.get(member)?.onNews(bits),
        removed: (member) => {
          this.removed++;
          this.ends.delete(member);
        },
        ended: (reason) => {
          this.ended = reason;
          this.registry.delete(this.group);
        },
      },
    });
    this.registry.add(this.group);
  }

  get group() {
    return this.driver.group;
  }

  activeLinks(): number {
    return this.group.links.filter(({ state }) => state === 'active').length;
  }

  gid(device: number): Uint8Array {
    return gidOf(this.host, device);
  }

  get memoryRegistered(): number {
    return this.contexts[0]?.memory.registered as number;
  }
}

/** One end of a connection with its rings. */
export class SimulatedEnd {
  readonly peer: Peer;
  readonly member: Member;
  readonly tx: RingProducer;
  readonly rx: RingConsumer;
  news = 0;
  onNews: (bits: number) => void = (bits) => void (this.news |= bits);

  constructor(peer: Peer, member: Member, tx: RingMemory, rx: RingMemory) {
    this.peer = peer;
    this.member = member;
    this.tx = new RingProducer(tx);
    this.rx = new RingConsumer(rx);
  }

  get state(): string {
    return this.member.connection.closing.state;
  }

  notify(): void {
    this.peer.driver.transmit(this.member);
  }

  write(bytes: Uint8Array): number {
    const length = this.tx.write(bytes);
    this.tx.publish();
    if (length > 0) this.notify();
    return length;
  }

  read(): Buffer {
    const bytes = Buffer.alloc(this.rx.available());
    this.rx.copy(bytes, 0, bytes.length);
    this.rx.advance(bytes.length);
    this.rx.publish();
    if (bytes.length > 0) this.notify();
    return bytes;
  }

  setState(bits: number): void {
    this.tx.setState(bits);
    this.notify();
  }

  get reset(): boolean {
    return (this.rx.state() & CONN_STATE.abnormal) !== 0;
  }
}

interface Prepared {
  readonly peer: Peer;
  readonly link: Link;
  readonly message: ClcAcceptConfirmR;
  readonly size: number;
  readonly element: Element;
  readonly token: number;
  readonly buffer: Awaited<ReturnType<GroupDriver['sendBuffer']>>;
}

export class World {
  readonly time = new VirtualTime();
  readonly fabric: Fabric;
  readonly client: Peer;
  readonly server: Peer;

  constructor(options: FabricOptions, client: PeerOptions = {}, server: PeerOptions = client) {
    this.fabric = new Fabric(this.time, options);
    this.client = new Peer(this.fabric, 1, 'client', client);
    this.server = new Peer(this.fabric, 2, 'server', server);
  }

  get peers(): readonly [Peer, Peer] {
    return [this.client, this.server];
  }

  /** Awaits what needs virtual time to go on. */
  async run<T>(work: Promise<T>, limit = 60_000, what?: string): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    work.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    await this.time.until(() => outcome !== undefined, limit, what);
    if (outcome !== undefined && 'error' in outcome) throw outcome.error;
    return (outcome as { value: T }).value;
  }

  /** First contact, with one connection. Undefined when it failed; see `failed` of both. */
  async firstContact(size = 16384, atStep?: (step: string) => void): Promise<[SimulatedEnd, SimulatedEnd] | undefined> {
    const { client, server } = this;
    await this.run(Promise.all([client.open(), server.open()]));
    const over = () => client.failed !== undefined || server.failed !== undefined;
    const proposal = this.propose();
    const agreement = choose(proposal, server.local);
    if (typeof agreement === 'number') throw new Error(`declined: ${agreement.toString(16)}`);
    server.found(proposal.peerId, agreement);
    server.group.start(this.time.now());
    await this.time.until(() => server.reachable !== undefined || over(), 10_000, 'the queue pair of the server');
    if (over()) return undefined;
    const atServer = await this.#prepare(server, size, server.reachable as Link, 'accept', true);
    const accept = atServer.message;
    atStep?.('accept');
    const agreed = agreedByAccept(accept, client.local);
    if (typeof agreed === 'number') throw new Error(`declined: ${agreed.toString(16)}`);
    client.found(accept.peerId, agreed);
    client.group.start(this.time.now(), linkEndOf(accept));
    await this.time.until(() => client.reachable !== undefined || over(), 10_000, 'the queue pair of the client');
    if (over()) return undefined;
    const atClient = await this.#prepare(client, size, client.reachable as Link, 'confirm', true);
    const mismatch = confirmMismatch(atClient.message, accept);
    if (mismatch !== undefined) throw new Error(`declined: ${mismatch.toString(16)}`);
    atStep?.('confirm');
    // As the backend does: to a link that died meanwhile nobody would bring the connection back.
    if (over() || [atClient, atServer].some(({ link }) => link.state === 'down')) return undefined;
    server.group.confirmed(linkEndOf(atClient.message), this.time.now());
    const ends: [SimulatedEnd, SimulatedEnd] = [this.#join(atClient, atServer), this.#join(atServer, atClient)];
    await this.time.until(() => (client.established && server.established) || over(), 10_000, 'CONFIRM LINK');
    return over() ? undefined : ends;
  }

  /** What the server reads of the client's Proposal. */
  propose(): ClcProposal {
    const proposal = smcrProposal(this.client.local);
    // Of version 1 only: the other part is left out.
    const { extension: _, ...first } = proposal;
    return decode(encode(this.client.local.v1 === undefined ? proposal : { ...first, version: 1, v2: 'none' })) as ClcProposal;
  }

  /** Another connection of the established group. `early` happens when the Confirm is on its way. */
  async connect(size = 16384, early?: (end: SimulatedEnd) => Promise<void>): Promise<[SimulatedEnd, SimulatedEnd]> {
    const { client, server } = this;
    const gid = client.group.links[0]?.own?.gid as Uint8Array;
    const group = server.registry.forProposal(client.local.peerId, gid);
    if (group === undefined) throw new Error('the server has no group for this peer');
    const atServer = await this.#prepare(server, size, group.bestLink as Link, 'accept', false);
    const { peerId, gid: serverGid, qpNumber } = atServer.message;
    const found = client.registry.forAccept(peerId, serverGid, qpNumber);
    if (found === undefined) throw new Error('declined: the client has no such link');
    const atClient = await this.#prepare(client, size, found.link, 'confirm', false);
    if (atClient.link.state === 'down') throw new Error('declined: the link of the client is down');
    const end = this.#join(atClient, atServer);
    await early?.(end);
    if (atServer.link.state === 'down') {
      server.group.forget(atServer.token);
      refuse(server.group, atServer.link, atClient.token);
      throw new Error('declined: the link of the server is down');
    }
    return [end, this.#join(atServer, atClient)];
  }

  async #prepare(peer: Peer, size: number, link: Link, type: 'accept' | 'confirm', firstContact: boolean): Promise<Prepared> {
    const { driver, group, local } = peer;
    const element = await this.run(
      new Promise<Element | undefined>((resolve) => group.elements.take(size, this.time.now(), resolve)),
      60_000,
      'an element',
    );
    if (element === undefined) throw new Error('declined: no element');
    if (!element.rmb.rkeys.has(link)) throw new Error(`declined: the link of the ${group.role} is down`);
    const token = group.newToken();
    group.announce(token);
    const agreement = peer.agreement as Agreement;
    const answer = smcrAnswer(type, { agreement, local, link, element, token, firstContact, hostname: `host${peer.host}` });
    const message = decode(encode(answer)) as ClcAcceptConfirmR;
    return { peer, link, element, token, message, size, buffer: await this.run(driver.sendBuffer(size)) };
  }

  #join({ peer, link, element, token, buffer, size }: Prepared, { message }: Prepared): SimulatedEnd {
    const theirs = elementEndOf(message);
    const rtoken = peer.group.rtoken(link, theirs.rkey, theirs.address);
    if (rtoken === undefined) throw new Error('no rtoken');
    const ring = (data: Buffer): RingMemory => ({ words: new Int32Array(HEADER_BYTES / 4), data, capacity: size, mirrored: false });
    const tx = ring(buffer.region.bytes.subarray(0, size));
    const rx = ring(peer.driver.elementBytes(element.rmb, element.index));
    initialise(tx);
    initialise(rx);
    const options = { token, peerToken: theirs.token, tx, rx, peerRmbeSize: theirs.size };
    const member = peer.group.add(options, link, element, { rtoken, index: theirs.index, size: theirs.size });
    peer.driver.bind(member, buffer);
    const end = new SimulatedEnd(peer, member, tx, rx);
    peer.ends.set(member, end);
    return end;
  }

  /** Both ends are done, released and gone; nothing is left over. */
  async finish(): Promise<void> {
    for (const { group } of this.peers) group.end(0x00030000, true);
    await this.time.until(() => this.peers.every(({ ended }) => ended !== undefined), 10_000, 'the end of the groups');
    await this.run(Promise.all(this.peers.map(({ driver }) => driver.finished())), 60_000, 'the release of everything');
  }
}

/** Sends `total` bytes of the stream `seed` from one end, and checks them at the other, as fast as the rings allow. */
export class Transfer {
  readonly #from: SimulatedEnd;
  readonly #to: SimulatedEnd;
  readonly #seed: number;
  readonly #verifier: Verifier;
  readonly total: number;
  written = 0;

  constructor(from: SimulatedEnd, to: SimulatedEnd, seed: number, total: number) {
    this.#from = from;
    this.#to = to;
    this.#seed = seed;
    this.total = total;
    this.#verifier = new Verifier(seed);
    const onFrom = from.onNews;
    from.onNews = (bits) => {
      onFrom(bits);
      if ((bits & NEWS.room) !== 0) this.pump();
    };
    const onTo = to.onNews;
    to.onNews = (bits) => {
      onTo(bits);
      if ((bits & (NEWS.data | NEWS.state)) !== 0) this.take();
    };
  }

  get received(): number {
    return this.#verifier.received;
  }

  get done(): boolean {
    return this.received === this.total;
  }

  /** Writes all that fits. */
  pump(): void {
    while (this.written < this.total) {
      const length = Math.min(this.total - this.written, 5000);
      const count = this.#from.write(payload(this.#seed, length, this.written));
      if (count === 0) return;
      this.written += count;
    }
  }

  take(): void {
    this.#verifier.take(this.#to.read());
  }
}
