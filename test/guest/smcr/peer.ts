// peer.ts - a peer of ours at the level of link groups, for tests of what goes wrong: opens devices, does CLC over plain TCP connections,
// makes link groups and connections. What the backend does for sockets, without sockets, and open to tampering.

import { connect as tcpConnect, createServer, type Server } from 'node:net';
import { type ClcAcceptConfirmR, HEADER_BYTES, initialise, RingConsumer, type RingMemory } from '@smcjs/core/backend';
import { ibverbs, type VerbsContext } from '@smcjs/smcr/verbs';
import { ClcSocket } from './clc-socket.js';
import {
  type Agreement,
  clc,
  driver,
  type Element,
  type GroupDriver,
  type GroupRegistry,
  group,
  type Link,
  type LinkPath,
  type LocalTerms,
  type Member,
} from './library.js';
import { Stream } from './stream.js';

const { agreedByAccept, choose, confirmMismatch, elementEndOf, linkEndOf, smcrAnswer, smcrProposal } = clc;

export interface PeerOptions {
  /** Devices, best first: rxe0 unless told otherwise. */
  readonly devices?: readonly string[];
  readonly ueids?: readonly string[];
  readonly maxLinks?: number;
  readonly maxConns?: number;
  /** Bytes of our elements and send buffers. */
  readonly size?: number;
}

/** The peer said no, or we did. */
export class Declined extends Error {
  readonly by: 'us' | 'peer';
  readonly diagnosis: string;
  /** TCP goes on. */
  readonly tcp: ClcSocket;

  constructor(by: 'us' | 'peer', diagnosis: number, tcp: ClcSocket) {
    super(`declined by ${by}: 0x${diagnosis.toString(16).padStart(8, '0')}`);
    this.by = by;
    this.diagnosis = `0x${diagnosis.toString(16).padStart(8, '0')}`;
    this.tcp = tcp;
  }
}

interface Founding {
  readonly driver: GroupDriver;
  readonly agreement: Agreement;
  readonly reachable: Promise<Link>;
  /** Undefined, or why it failed. */
  readonly established: Promise<number | undefined>;
}

interface Prepared {
  readonly driver: GroupDriver;
  readonly link: Link;
  readonly element: Element;
  readonly token: number;
  readonly buffer: Awaited<ReturnType<GroupDriver['sendBuffer']>>;
  readonly message: ClcAcceptConfirmR;
}

export class SmcrPeer {
  readonly registry: GroupRegistry = new group.GroupRegistry();
  readonly contexts: VerbsContext[] = [];
  readonly paths: LinkPath[] = [];
  readonly drivers = new Set<GroupDriver>();
  readonly streams = new Map<Member, Stream>();
  /** Reasons of groups that ended. */
  readonly ended: string[] = [];
  local!: LocalTerms;
  /** For tests of what goes wrong: changes our Accepts and Confirms before they are sent, and our link groups before they start. */
  tamper: (message: ClcAcceptConfirmR) => ClcAcceptConfirmR = (message) => message;
  onDriver: (made: GroupDriver) => void = () => {};
  readonly #agreements = new Map<GroupDriver, Agreement>();
  readonly #size: number;

  private constructor(size: number) {
    this.#size = size;
  }

  static async open(options: PeerOptions = {}): Promise<SmcrPeer> {
    const { devices = ['rxe0'], ueids = ['SMCJS-TEST-EID'], maxLinks = 1, maxConns = 255, size = 65536 } = options;
    const peer = new SmcrPeer(size);
    const all = await ibverbs().devices();
    for (const name of devices) {
      const device = all.find((it) => it.name === name);
      if (device === undefined) throw new Error(`there is no ${name}`);
      const context = await device.open();
      const port = await context.queryPort(1);
      const gid = port.gids.find((it) => it.type === 'rocev2' && Buffer.from(it.gid).readUInt32BE(8) === 0xffff);
      if (gid === undefined) throw new Error(`${name} has no IPv4 GID`);
      context.onAsyncEvent = (event) => {
        for (const one of [...peer.drivers]) one.deviceEvent(context, event);
      };
      peer.contexts.push(context);
      peer.paths.push({ context, pd: await context.allocatePd(), port: 1, gid, mtu: port.activeMtu });
    }
    const { gid, mac } = (peer.paths[0] as LinkPath).gid;
    const peerId = group.makePeerId(mac, Math.floor(Math.random() * 65536));
    peer.local = { peerId, gid, mac, ueids, maxConns, maxLinks };
    return peer;
  }

  /** Ends all groups and gives everything back. */
  async close(): Promise<void> {
    for (const one of [...this.drivers]) one.group.end(0x00030000, true);
    while (this.drivers.size > 0) await Promise.all([...this.drivers].map((one) => one.finished()));
    for (const context of this.contexts) await context.close();
  }

  // A further contact takes a group that is there.

  /** @throws Declined, or Error when TCP fails. */
  async connect(port: number, options: { host?: string; localAddress?: string } = {}): Promise<Stream> {
    const tcp = tcpConnect({ port, host: '127.0.0.1', ...options });
    await new Promise((resolve, reject) => tcp.once('connect', resolve).once('error', reject));
    const socket = new ClcSocket(tcp);
    const { local } = this;
    socket.send(smcrProposal(local));
    const answer = await socket.next();
    if (answer.type === 'decline') throw new Declined('peer', answer.diagnosis, socket);
    if (answer.type !== 'accept' || answer.path !== 'smcr') throw new Error(`${answer.type} instead of an Accept`);
    return this.confirm(socket, answer);
  }

  /** The client's part from the Accept on. */
  async confirm(socket: ClcSocket, accept: ClcAcceptConfirmR): Promise<Stream> {
    if (!accept.firstContact) {
      const found = this.registry.forAccept(accept.peerId, accept.gid, accept.qpNumber);
      if (found === undefined) throw this.#decline(socket, clc.DIAGNOSIS.outOfSync, true);
      const one = [...this.drivers].find((it) => it.group === found.group) as GroupDriver;
      const prepared = await this.#prepare(one, found.link, 'confirm', false);
      const stream = this.#join(prepared, accept, socket);
      socket.send(this.tamper(prepared.message));
      socket.release();
      stream.establish();
      return stream;
    }
    const agreement = agreedByAccept(accept, this.local);
    if (typeof agreement === 'number') throw this.#decline(socket, agreement);
    const founding = this.#found('client', accept.peerId, agreement);
    founding.driver.group.start(performance.now(), linkEndOf(accept));
    const prepared = await this.#prepare(founding.driver, await this.#reached(founding, socket), 'confirm', true);
    const stream = this.#join(prepared, accept, socket);
    socket.send(this.tamper(prepared.message));
    await this.#established(founding, socket);
    socket.release();
    stream.establish();
    return stream;
  }

  /** `onConnection` gets the client's port, and what becomes of it: an Error when that is no connection. */
  async listen(
    onConnection: (port: number, stream: Promise<Stream | Error>) => void,
    host = '127.0.0.1',
  ): Promise<{ port: number; server: Server }> {
    const server = createServer({ allowHalfOpen: true }, (tcp) => {
      const stream = this.serve(new ClcSocket(tcp)).catch((error: Error) => error);
      onConnection(tcp.remotePort as number, stream);
    });
    await new Promise<void>((resolve) => server.listen(0, host, 1024, resolve));
    return { port: (server.address() as { port: number }).port, server };
  }

  async serve(socket: ClcSocket): Promise<Stream> {
    const proposal = await socket.next();
    // A kernel that finds no way by itself declines instead of proposing.
    if (proposal.type === 'decline') throw new Declined('peer', proposal.diagnosis, socket);
    if (proposal.type !== 'proposal') throw new Error(`${proposal.type} instead of a Proposal`);
    const agreement = choose(proposal, this.local);
    if (typeof agreement === 'number') throw this.#decline(socket, agreement);
    const gid = agreement.version === 1 ? proposal.roceV1Gid : (proposal.extension?.roceV2Gid as Uint8Array);
    const known = this.registry.forProposal(proposal.peerId, gid);
    const founding = known === undefined ? this.#found('server', proposal.peerId, agreement) : undefined;
    founding?.driver.group.start(performance.now());
    const one = founding?.driver ?? ([...this.drivers].find((it) => it.group === known) as GroupDriver);
    const link = founding === undefined ? (one.group.bestLink as Link) : await this.#reached(founding, socket);
    const prepared = await this.#prepare(one, link, 'accept', founding !== undefined);
    socket.send(this.tamper(prepared.message));
    const confirm = await socket.next();
    if (confirm.type === 'decline') {
      one.group.elements.giveBack(prepared.element, true);
      one.releaseBuffer(prepared.buffer);
      if (confirm.outOfSync) this.registry.outOfSync(one.group);
      else if (founding !== undefined) one.group.abandon(confirm.diagnosis);
      throw new Declined('peer', confirm.diagnosis, socket);
    }
    if (confirm.type !== 'confirm' || confirm.path !== 'smcr') throw new Error(`${confirm.type} instead of a Confirm`);
    const mismatch = confirmMismatch(confirm, prepared.message);
    if (mismatch !== undefined) throw this.#decline(socket, mismatch);
    const stream = this.#join(prepared, confirm, socket);
    if (founding !== undefined) {
      founding.driver.group.confirmed(linkEndOf(confirm), performance.now());
      await this.#established(founding, socket);
    }
    socket.release();
    stream.establish();
    return stream;
  }

  #decline(socket: ClcSocket, diagnosis: number, outOfSync = false): Declined {
    socket.decline(this.local.peerId, diagnosis, outOfSync);
    return new Declined('us', diagnosis, socket);
  }

  #found(role: 'client' | 'server', peerId: Uint8Array, agreement: Agreement): Founding {
    let onReachable!: (link: Link) => void;
    let onEstablished!: (failure: number | undefined) => void;
    const reachable = new Promise<Link>((resolve) => (onReachable = resolve));
    const established = new Promise<number | undefined>((resolve) => (onEstablished = resolve));
    const made: GroupDriver = new driver.GroupDriver({
      role,
      ...agreement,
      peerId,
      seed: Math.floor(Math.random() * 2 ** 32),
      paths: this.paths,
      clock: driver.loopClock,
      randomPsn: () => Math.floor(Math.random() * 2 ** 24),
      events: {
        reachable: onReachable,
        established: () => onEstablished(undefined),
        failed: (diagnosis) => {
          onEstablished(diagnosis);
          this.#forget(made);
        },
        news: (member) => this.streams.get(member)?.onNews(),
        removed: (member) => {
          this.streams.get(member)?.onRemoved();
          this.streams.delete(member);
        },
        ended: (reason) => {
          this.ended.push(`0x${reason.toString(16).padStart(8, '0')}`);
          this.#forget(made);
        },
      },
    });
    this.drivers.add(made);
    this.onDriver(made);
    this.registry.add(made.group);
    this.#agreements.set(made, agreement);
    return { driver: made, agreement, reachable, established };
  }

  #forget(one: GroupDriver): void {
    this.registry.delete(one.group);
    void one.finished().then(() => this.drivers.delete(one));
  }

  async #reached({ reachable, established }: Founding, socket: ClcSocket): Promise<Link> {
    const outcome = await Promise.race([reachable, established]);
    if (typeof outcome !== 'object') throw this.#decline(socket, outcome ?? 0);
    return outcome;
  }

  async #established({ driver: made, established }: Founding, socket: ClcSocket): Promise<void> {
    const failure = await Promise.race([established, socket.next().catch(() => 0)]);
    if (failure === undefined) return;
    if (typeof failure === 'number') throw this.#decline(socket, failure);
    const diagnosis = failure.type === 'decline' ? failure.diagnosis : 0;
    made.group.abandon(diagnosis);
    throw new Declined('peer', diagnosis, socket);
  }

  async #prepare(one: GroupDriver, link: Link, type: 'accept' | 'confirm', firstContact: boolean): Promise<Prepared> {
    const element = await new Promise<Element | undefined>((resolve) => one.group.elements.take(this.#size, performance.now(), resolve));
    if (element === undefined) throw new Error('no element');
    const buffer = await one.sendBuffer(this.#size);
    const token = one.group.newToken();
    one.group.announce(token);
    const agreement = this.#agreements.get(one) as Agreement;
    const gids = this.paths.map(({ gid }) => gid.gid);
    const message = smcrAnswer(type, { agreement, local: this.local, link, element, token, firstContact, hostname: 'guest', gids });
    return { driver: one, link, element, token, buffer, message };
  }

  #join({ driver: one, link, element, token, buffer }: Prepared, theirs: ClcAcceptConfirmR, socket: ClcSocket): Stream {
    const end = elementEndOf(theirs);
    const rtoken = one.group.rtoken(link, end.rkey, end.address);
    if (rtoken === undefined) throw new Error('no rtoken');
    const size = this.#size;
    const ring = (data: Buffer): RingMemory => ({ words: new Int32Array(HEADER_BYTES / 4), data, capacity: size, mirrored: false });
    const tx = ring(buffer.region.bytes.subarray(0, size));
    const rx = ring(one.elementBytes(element.rmb, element.index));
    initialise(tx);
    initialise(rx);
    const options = { token, peerToken: end.token, tx, rx, peerRmbeSize: end.size };
    const member = one.group.add(options, link, element, { rtoken, index: end.index, size: end.size });
    one.bind(member, buffer);
    const stream = new Stream(one, member, new RingConsumer(rx), socket.tcp);
    this.streams.set(member, stream);
    return stream;
  }
}
