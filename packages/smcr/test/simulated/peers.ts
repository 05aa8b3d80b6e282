// peers.ts - two peers with link groups on a simulated fabric, and connections between them. What CLC would tell is handed over.

import { CONN_STATE, HEADER_BYTES, initialise, RingConsumer, type RingMemory, RingProducer } from '@smcjs/core/backend';
import { NEWS } from '../../src/connection/index.js';
import { GroupDriver, type LinkPath } from '../../src/driver/index.js';
import type { Element, Link, Member } from '../../src/group/index.js';
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
  }
  readonly #options: { fabric: Fabric; role: 'client' | 'server'; options: PeerOptions };

  async open(): Promise<void> {
    const { fabric, role, options } = this.#options;
    const paths: LinkPath[] = [];
    for (const context of this.contexts) {
      const port = await context.queryPort(1);
      const gid = { ...(port.gids[0] as LinkPath['gid']) };
      paths.push({ context, pd: await context.allocatePd(), port: 1, gid, mtu: port.activeMtu });
    }
    this.driver = new GroupDriver({
      role,
      version: options.version ?? 2,
      peerId: new Uint8Array(8),
      maxConns: options.maxConns ?? 255,
      maxLinks: options.maxLinks ?? 1,
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
        ended: (reason) => (this.ended = reason),
      },
    });
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
    server.group.start(this.time.now());
    await this.time.until(() => server.reachable !== undefined || over(), 10_000, 'the queue pair of the server');
    if (over()) return undefined;
    const atServer = await this.#prepare(server, size);
    atStep?.('accept');
    const serverLink = server.reachable as Link;
    client.group.start(this.time.now(), serverLink.own);
    await this.time.until(() => client.reachable !== undefined || over(), 10_000, 'the queue pair of the client');
    if (over()) return undefined;
    const atClient = await this.#prepare(client, size);
    atStep?.('confirm');
    const clientLink = client.reachable as Link;
    server.group.confirmed(clientLink.own as NonNullable<Link['own']>, this.time.now());
    const ends = this.#join(size, [clientLink, atClient], [serverLink, atServer]);
    await this.time.until(() => (client.established && server.established) || over(), 10_000, 'CONFIRM LINK');
    return over() ? undefined : ends;
  }

  /** Another connection of the established group. */
  async connect(size = 16384): Promise<[SimulatedEnd, SimulatedEnd]> {
    const { client, server } = this;
    const serverLink = server.group.bestLink as Link;
    const clientLink = client.group.linkOf(serverLink.own?.qpNumber as number) as Link;
    const atServer = await this.#prepare(server, size);
    const atClient = await this.#prepare(client, size);
    return this.#join(size, [clientLink, atClient], [serverLink, atServer]);
  }

  async #prepare({ driver, group }: Peer, size: number): Promise<Prepared> {
    const element = await this.run(
      new Promise<Element | undefined>((resolve) => {
        group.elements.take(size, this.time.now(), (it) => {
          resolve(it);
        });
      }),
      60_000,
      'an element',
    );
    if (element === undefined) throw new Error('no element');
    return { element, token: group.newToken(), buffer: await this.run(driver.sendBuffer(size)) };
  }

  #join(size: number, client: [Link, Prepared], server: [Link, Prepared]): [SimulatedEnd, SimulatedEnd] {
    const join = (peer: Peer, [link, own]: [Link, Prepared], [theirLink, theirs]: [Link, Prepared]): SimulatedEnd => {
      const { rkey, address } = theirs.element.rmb.rkeys.get(theirLink) as { rkey: number; address: bigint };
      const rtoken = peer.group.rtoken(link, rkey, address);
      if (rtoken === undefined) throw new Error('no rtoken');
      const header = () => new Int32Array(HEADER_BYTES / 4);
      const tx: RingMemory = { words: header(), data: own.buffer.region.bytes.subarray(0, size), capacity: size, mirrored: false };
      const rx: RingMemory = {
        words: header(),
        data: peer.driver.elementBytes(own.element.rmb, own.element.index),
        capacity: size,
        mirrored: false,
      };
      initialise(tx);
      initialise(rx);
      const options = { token: own.token, peerToken: theirs.token, tx, rx, peerRmbeSize: size };
      const member = peer.group.add(options, link, own.element, { rtoken, index: theirs.element.index, size });
      peer.driver.bind(member, own.buffer);
      const end = new SimulatedEnd(peer, member, tx, rx);
      peer.ends.set(member, end);
      return end;
    };
    return [join(this.client, client, server), join(this.server, server, client)];
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
