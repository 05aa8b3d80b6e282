// raw-peer.ts - a peer made of system calls and messages: it says what the protocol says, or anything else.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import {
  acceptConfirmOf,
  ClcReader,
  type ClcMessage,
  DECISION,
  decide,
  encode as encodeClc,
  proposalOf,
  type RingMemory,
} from '@smcjs/core/backend';
import { onTestFinished } from 'vitest';
import type { NativeControl } from '../dist/addon.js';
import { DOORBELL_BYTES, initialiseDoorbell } from '../dist/doorbell.js';
import { type ControlMessage, decode, encode, PROTOCOL_VERSION } from '../dist/messages.js';
import { type Element, OwnSegments, PeerSegments } from '../dist/segment.js';
import type { SmcdEnvironment } from '../dist/smcd-environment.js';
import { addon, until } from './support.js';

type Offer = Extract<ControlMessage, { type: 'offer' }>;

/** One end of a Unix socket that another loop takes for a peer. */
export class RawPeer {
  readonly instance = randomBytes(16);
  /** What the other side has said, decoded; descriptors are closed, segments are mapped. */
  readonly heard: ControlMessage[] = [];
  readonly segments = new PeerSegments(addon);
  /** The other loop's doorbell page. */
  page: ArrayBuffer | undefined;
  gone = false;
  readonly #control: NativeControl;

  constructor(fd: number) {
    if (fd < 0) throw new Error(`no Unix socket: ${fd}`);
    this.#control = new addon.Control(fd, false, (bytes, descriptors = []) => {
      if (bytes === undefined) this.gone = true;
      else this.#hear(decode(bytes), descriptors);
      for (const descriptor of descriptors) addon.closeDescriptor(descriptor);
    });
    onTestFinished(() => this.close());
  }

  /** Dials the listener of a loop. */
  static dial(environment: SmcdEnvironment): RawPeer {
    return new RawPeer(addon.connectUnix(environment.registry.directory, `l-${environment.name}`));
  }

  send(message: Uint8Array | ControlMessage, descriptors: readonly number[] = []): number {
    return this.#control.send('type' in message ? encode(message) : message, descriptors);
  }

  /** Hello, with a page of ours. */
  hello(changes: { version?: number; bytes?: number; blank?: boolean } = {}): void {
    withSegment(changes.bytes ?? DOORBELL_BYTES, (fd, memory) => {
      if (changes.blank !== true) initialiseDoorbell(memory);
      this.send({ type: 'hello', version: changes.version ?? PROTOCOL_VERSION, instance: this.instance, linkGroup: 1 }, [fd]);
    });
  }

  close(): void {
    this.#control.close();
    this.segments.unmap();
    if (this.page !== undefined) addon.unmap(this.page);
    this.page = undefined;
  }

  #hear(message: ControlMessage | undefined, descriptors: readonly number[]): void {
    if (message === undefined) return;
    const [descriptor] = descriptors;
    if (message.type === 'segment') this.segments.add(message.id, message.elements, message.capacity, descriptor as number);
    if (message.type === 'hello') this.page = addon.mapSegment(descriptor as number, DOORBELL_BYTES) as ArrayBuffer;
    this.heard.push(message);
  }
}

/** A segment for the time of the call. */
export function withSegment(bytes: number, use: (fd: number, memory: ArrayBuffer) => void): void {
  const fd = addon.createSegment(bytes);
  const memory = addon.mapSegment(fd, bytes) as ArrayBuffer;
  use(fd, memory);
  addon.unmap(memory);
  addon.closeDescriptor(fd);
}

/** A client that leaves a name, connects, and does with the server's offer what the test says. */
export class RawClient {
  readonly environment: SmcdEnvironment;
  readonly socket: net.Socket;
  /** Everything that came over TCP. */
  received = Buffer.alloc(0);
  ended = false;
  /** The error's code, or '' for a close without one. */
  closed: string | undefined;
  peer: RawPeer | undefined;
  readonly own: OwnSegments;
  readonly #listener: NativeControl;
  readonly #reader = new ClcReader();

  private constructor(environment: SmcdEnvironment, port: number) {
    this.environment = environment;
    const { registry } = environment;
    const tuple = Buffer.alloc(36);
    const fd = addon.bindSource('127.0.0.1', port, tuple);
    const name = registry.tupleName(tuple);
    const listener = `l-${randomBytes(16).toString('hex')}`;
    this.#listener = new addon.Control(addon.listenUnix(registry.directory, listener), true, () => {
      this.peer = new RawPeer(this.#listener.accept());
    });
    addon.link(registry.directory, listener, name);
    this.own = new OwnSegments(
      addon,
      (id, elements, capacity, descriptor) => this.peer?.send({ type: 'segment', id, elements, capacity }, [descriptor]) === 0,
    );
    this.socket = new net.Socket({
      fd,
      manualStart: true,
      readable: true,
      writable: true,
      allowHalfOpen: true,
    } as net.SocketConstructorOpts);
    this.socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.#reader.push(bytes);
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.closed = error.code ?? '';
    });
    this.socket.on('close', () => {
      this.closed ??= '';
    });
    this.socket.connect({ port, host: '127.0.0.1' });
    onTestFinished(() => {
      this.socket.destroy();
      this.#listener.close();
      this.own.unmap();
      for (const left of [name, listener]) registry.unlinkName(left);
    });
  }

  /** Connects; resolves when the server has dialled. */
  static async dialled(environment: SmcdEnvironment, port: number): Promise<RawClient> {
    const client = new RawClient(environment, port);
    await until(() => client.peer !== undefined);
    return client;
  }

  /** The server's offer, after both have said hello, and the ring in it. */
  async offer(): Promise<{ offer: Offer; server: Element }> {
    const peer = this.peer as RawPeer;
    peer.hello();
    await until(() => peer.heard.some(({ type }) => type === 'offer'));
    const offer = peer.heard.find((message) => message.type === 'offer') as Offer;
    return { offer, server: peer.segments.get(offer.element) as Element };
  }

  /** Takes the offer, as the protocol says. Returns the ring we write, the one we read, and what Confirm has to say. */
  async claim(): Promise<{ tx: RingMemory; rx: RingMemory; token: bigint; offer: Offer }> {
    const { offer, server } = await this.offer();
    const mine = this.own.allocate(65_536) as Element;
    decide(server.memory.words, DECISION.offered, DECISION.claimed);
    const token = randomBytes(8).readBigUInt64LE();
    this.peer?.send({ type: 'answer', offered: offer.token, token, slot: 0, element: mine.name });
    return { tx: server.memory, rx: mine.memory, token, offer };
  }

  propose(): void {
    this.socket.write(encodeClc(proposalOf((this.peer as RawPeer).instance)));
  }

  /** The next CLC message of the server. */
  async message(): Promise<ClcMessage> {
    let message: ClcMessage | undefined;
    await until(() => (message = this.#reader.next()) !== undefined || this.closed !== undefined);
    if (message === undefined) throw new Error(`closed: ${this.closed}`);
    return message;
  }

  /** All the way to a ring. */
  async connect(): Promise<{ tx: RingMemory; rx: RingMemory }> {
    const { tx, rx, token } = await this.claim();
    this.propose();
    const accept = await this.message();
    if (accept.type !== 'accept') throw new Error(`a ${accept.type}`);
    decide(tx.words, DECISION.claimed, DECISION.ring);
    this.confirm(token);
    return { tx, rx };
  }

  confirm(token: bigint): void {
    this.socket.write(
      encodeClc(acceptConfirmOf('confirm', { instance: (this.peer as RawPeer).instance, token, capacity: 65_536, linkId: 1 })),
    );
  }
}
