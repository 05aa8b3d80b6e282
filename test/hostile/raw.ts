// raw.ts - a peer made of the backend's own parts: it gets through the handshake as any peer does, and may say something
// else at every step of it.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { RingMemory } from '@smcjs/core/backend';
import { ROOT } from '../memory-order/places.js';

type Environments = typeof import('../../packages/smcd/dist/smcd-environment.js');
type Messages = typeof import('../../packages/smcd/dist/messages.js');
type Segments = typeof import('../../packages/smcd/dist/segment.js');
type Doorbells = typeof import('../../packages/smcd/dist/doorbell.js');
type ControlMessage = import('../../packages/smcd/dist/messages.js').ControlMessage;
type Element = import('../../packages/smcd/dist/segment.js').Element;
type NativeControl = import('../../packages/smcd/dist/addon.js').NativeControl;
export type Offer = Extract<ControlMessage, { type: 'offer' }>;
export type Answer = Extract<ControlMessage, { type: 'answer' }>;

const inside = (file: string): Promise<unknown> => import(new URL(`packages/smcd/dist/${file}.js`, ROOT).href);
const { smcdEnvironment } = (await inside('smcd-environment')) as Environments;
const { decode, encode, PROTOCOL_VERSION, TUPLE_BYTES } = (await inside('messages')) as Messages;
const { OwnSegments, PeerSegments } = (await inside('segment')) as Segments;
const { Doorbell, DOORBELL_BYTES, initialiseDoorbell } = (await inside('doorbell')) as Doorbells;

const entered = smcdEnvironment();
if ('reason' in entered) throw new Error(entered.detail);
export const { addon, registry } = entered;
export const RING_BYTES = 65_536;
export const SEGMENT_ELEMENTS = 4;

/** True when the condition came to hold within the time. */
export async function within(milliseconds: number, condition: () => boolean): Promise<boolean> {
  for (const end = Date.now() + milliseconds; !condition(); await delay(1)) if (Date.now() > end) return false;
  return true;
}

/** What a connection over memory consists of, for the one who attacks it. */
export interface Rings {
  /** The ring the victim reads. */
  readonly tx: RingMemory;
  /** The ring the victim writes. */
  readonly rx: RingMemory;
  /** Tells the victim of news, as a peer does. */
  ring(): void;
}

/** One end of a Unix socket that the victim's loop takes for a peer. */
export class RawLink {
  readonly instance = randomBytes(16);
  readonly segments = new PeerSegments(addon);
  readonly own: InstanceType<Segments['OwnSegments']>;
  /** The victim's doorbell page. */
  page: ArrayBuffer | undefined;
  gone = false;
  readonly #heard: ControlMessage[] = [];
  readonly #control: NativeControl;

  constructor(fd: number) {
    if (fd < 0) throw new Error(`no Unix socket: ${fd}`);
    this.#control = new addon.Control(fd, false, (bytes, descriptors = []) => {
      if (bytes === undefined) this.gone = true;
      else this.#hear(decode(bytes), descriptors);
      for (const descriptor of descriptors) addon.closeDescriptor(descriptor);
    });
    this.own = new OwnSegments(addon, (id, elements, capacity, descriptor) => {
      this.send({ type: 'segment', id, elements, capacity }, [descriptor]);
      return true;
    });
  }

  send(message: Uint8Array | ControlMessage, descriptors: readonly number[] = []): number {
    return this.#control.send('type' in message ? encode(message) : message, descriptors);
  }

  /** Says hello, with this descriptor or with a proper page. */
  hello(descriptor?: number): void {
    const message: ControlMessage = { type: 'hello', version: PROTOCOL_VERSION, instance: this.instance, linkGroup: 1 };
    if (descriptor !== undefined) return void this.send(message, [descriptor]);
    const page = addon.createSegment(DOORBELL_BYTES);
    const memory = addon.mapSegment(page, DOORBELL_BYTES) as ArrayBuffer;
    initialiseDoorbell(memory);
    this.send(message, [page]);
    addon.unmap(memory);
    addon.closeDescriptor(page);
  }

  async hear<T extends ControlMessage['type']>(type: T): Promise<Extract<ControlMessage, { type: T }> | undefined> {
    const find = (): ControlMessage | undefined => this.#heard.find((message) => message.type === type);
    await within(3000, () => find() !== undefined || this.gone);
    return find() as Extract<ControlMessage, { type: T }> | undefined;
  }

  rings(theirs: Element, ours: Element, slot: number): Rings {
    const doorbell = new Doorbell(this.page as ArrayBuffer, this.#control);
    return { tx: theirs.memory, rx: ours.memory, ring: () => void doorbell.ring(slot) };
  }

  close(): void {
    this.#control.close();
  }

  #hear(message: ControlMessage | undefined, [descriptor = -1]: readonly number[]): void {
    if (message === undefined) return;
    if (message.type === 'segment') this.segments.add(message.id, message.elements, message.capacity, descriptor);
    if (message.type === 'hello') this.page = addon.mapSegment(descriptor, DOORBELL_BYTES) as ArrayBuffer;
    this.#heard.push(message);
  }
}

/** A TCP socket of ours: what came, and whether it is over. */
export class RawTcp {
  received = Buffer.alloc(0);
  over = false;
  readonly socket: net.Socket;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => (this.received = Buffer.concat([this.received, bytes])));
    socket.on('error', () => (this.over = true));
    for (const name of ['end', 'close']) socket.on(name, () => (this.over = true));
  }

  /** True when anything has come. */
  async answered(): Promise<boolean> {
    await within(3000, () => this.received.length > 0 || this.over);
    return this.received.length > 0;
  }
}

/** Connects to the victim with a name left for it; `link` resolves when it has dialled. */
export function dialRaw(port: number): { tcp: RawTcp; link: Promise<RawLink | undefined>; close: () => void } {
  const tuple = Buffer.alloc(TUPLE_BYTES);
  const fd = addon.bindSource('127.0.0.1', port, tuple);
  const [name, listener] = [registry.tupleName(tuple), `l-${randomBytes(16).toString('hex')}`];
  let link: RawLink | undefined;
  const control = new addon.Control(addon.listenUnix(registry.directory, listener), true, () => {
    const accepted = control.accept();
    if (accepted >= 0) link = new RawLink(accepted);
  });
  addon.link(registry.directory, listener, name);
  const options = { fd, manualStart: true, readable: true, writable: true, allowHalfOpen: true } as net.SocketConstructorOpts;
  const tcp = new RawTcp(new net.Socket(options));
  tcp.socket.connect({ port, host: '127.0.0.1' });
  const close = (): void => {
    tcp.socket.destroy();
    control.close();
    for (const left of [name, listener]) registry.unlinkName(left);
    link?.close();
  };
  return { tcp, link: within(3000, () => link !== undefined || tcp.over).then(() => link), close };
}

/** A Unix socket to the victim that dialled this accepted connection, and the connection's name for an offer. */
export function dialBack(socket: net.Socket): { link: RawLink; tuple: Buffer } | undefined {
  const tuple = Buffer.alloc(TUPLE_BYTES);
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  if (addon.acceptedTuple(fd, tuple) !== 0) return undefined;
  const connected = addon.connectUnix(registry.directory, registry.tupleName(tuple));
  return connected < 0 ? undefined : { link: new RawLink(connected), tuple };
}
