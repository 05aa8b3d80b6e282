// link-group.ts - what two event loops share: one Unix socket, a doorbell page in each direction, segments, and up to
// 1,024 connections. The server of a connection dials; a later connection between the same two loops needs nothing new.

import { randomBytes } from 'node:crypto';
import { REASONS } from '@smcjs/core/backend';
import { type Addon, EAGAIN, type NativeControl } from './addon.js';
import { DOORBELL_BYTES, DOORBELL_SLOTS, Doorbell, initialiseDoorbell, isDoorbell, News } from './doorbell.js';
import type { Hub } from './hub.js';
import { type ControlMessage, decode, type ElementName, encode, PROTOCOL_VERSION } from './messages.js';
import { type Element, OwnSegments, PeerSegments } from './segment.js';
import { type ChannelOwner, SmcdChannel } from './smcd-channel.js';
import { traceLinkGroup, traceMessage } from './trace.js';

/** Messages that may wait for a peer that does not read. */
const OUTBOX_MESSAGES = 4 * DOORBELL_SLOTS;

/** How long a foreign peer may take to read why it is declined; it ends this by saying hello. */
const FOREIGN_LINGER_MS = 1000;

/** Who asks a link group to tell it things. */
export interface LinkGroupEvents {
  /** A server offers to take over the TCP connection with this tuple. Client side only. */
  onOffer?(group: LinkGroup, offer: Extract<ControlMessage, { type: 'offer' }>): void;
  /** A server has seen that connection and can't offer. Client side only. */
  onDecline?(decline: Extract<ControlMessage, { type: 'decline' }>): void;
  onLost(group: LinkGroup): void;
}

/** A slot and a ring of ours set aside for one connection. */
export interface Reservation {
  readonly slot: number;
  readonly element: Element;
}

/** The accepted TCP connection that an offer is for. */
export type Accepted = Pick<Extract<ControlMessage, { type: 'offer' }>, 'tuple' | 'syn'>;

type Answer = Extract<ControlMessage, { type: 'answer' }>;

export class LinkGroup implements ChannelOwner {
  readonly hub: Hub;
  /** Our number for this link group; goes over the wire as the link id. */
  readonly id: number;
  /** The peer's instance id, once it has said hello. */
  peerInstance: Buffer | undefined;
  /** The user the peer's process runs as; undefined before {@link start}. */
  peerUser: number | undefined;
  lost = false;
  /** Lost because the peer ended it, in order or by dying: what its connections have said holds. */
  #gone = false;
  /** Told whenever the number of connections and reservations changed. */
  onUse: ((used: number) => void) | undefined;

  readonly #addon: Addon;
  readonly #instance: Buffer;
  readonly #events: LinkGroupEvents;
  readonly #own: OwnSegments;
  readonly #peer: PeerSegments;
  readonly #slots: (SmcdChannel | 'reserved' | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #waiting = new Map<bigint, (answer: Answer | undefined) => void>();
  #used = 0;
  /** Messages that wait for room in the peer's queue, and the timer that tries them. */
  readonly #outbox: { readonly bytes: Buffer; readonly descriptors: readonly number[] }[] = [];
  #retry: NodeJS.Timeout | undefined;
  #control: NativeControl | undefined;
  #page: ArrayBuffer | undefined;
  #peerPage: ArrayBuffer | undefined;
  #news: News | undefined;
  #doorbell: Doorbell | undefined;
  #hubIndex = -1;
  readonly #deliver = (slot: number) => {
    const channel = this.#slots[slot];
    if (channel !== undefined && channel !== 'reserved') channel.onToken();
  };
  readonly #deliverAll = () => {
    for (let slot = 0; slot < this.#slots.length; slot++) this.#deliver(slot);
  };

  constructor(addon: Addon, hub: Hub, instance: Buffer, events: LinkGroupEvents) {
    this.#addon = addon;
    this.hub = hub;
    this.#instance = instance;
    this.#events = events;
    this.id = randomBytes(4).readUInt32LE();
    this.#peer = new PeerSegments(addon);
    this.#own = new OwnSegments(addon, (id, elements, capacity, descriptor) =>
      this.#send({ type: 'segment', id, elements, capacity }, [descriptor]),
    );
  }

  /**
   * Takes over a connected Unix socket and says hello. "foreign" when the peer is the process of a user we do not share
   * memory with, false when hello cannot be said; the caller then ends the link group.
   */
  start(fd: number, allows: (uid: number) => boolean): boolean | 'foreign' {
    this.#control = new this.#addon.Control(fd, false, (message, descriptors) => this.#onMessage(message, descriptors ?? []));
    // As the kernel noted them at connect or listen. From a foreign user namespace an unmapped user reads as 65534.
    const credentials = this.#control.credentials();
    if (typeof credentials === 'number' || !allows(credentials[1]) || credentials[0] === 0) return 'foreign';
    this.peerUser = credentials[1];
    const page = this.#addon.createSegment(DOORBELL_BYTES);
    if (page < 0) return false;
    try {
      const mapped = this.#addon.mapSegment(page, DOORBELL_BYTES);
      if (typeof mapped === 'number') return false;
      initialiseDoorbell(mapped);
      this.#page = mapped;
      this.#news = new News(mapped);
      return this.#send({ type: 'hello', version: PROTOCOL_VERSION, instance: this.#instance, linkGroup: this.id }, [page]);
    } finally {
      this.#addon.closeDescriptor(page);
    }
  }

  get full(): boolean {
    return this.#used >= DOORBELL_SLOTS;
  }

  /** Connections and reservations. */
  get used(): number {
    return this.#used;
  }

  /** Sets a slot and a ring aside; undefined when there is none or no memory. */
  reserve(capacity: number): Reservation | undefined {
    if (this.full || this.lost) return undefined;
    const element = this.#own.allocate(capacity);
    if (element === undefined) return undefined;
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    this.#slots[slot] = 'reserved';
    this.#used++;
    this.onUse?.(this.#used);
    return { slot, element };
  }

  /** Gives a reservation back that never became a channel. */
  unreserve({ slot, element }: Reservation): void {
    this.#freeSlot(slot, element);
  }

  /** Sends an offer; `answered` is called once, from the loop: with the answer, or with undefined if refused or lost. */
  offer(of: Accepted, token: bigint, { slot, element }: Reservation, answered: (answer: Answer | undefined) => void): boolean {
    if (!this.#send({ type: 'offer', ...of, token, slot, element: element.name })) return false;
    this.#waiting.set(token, answered);
    return true;
  }

  answer(offered: bigint, token: bigint, { slot, element }: Reservation): boolean {
    return this.#send({ type: 'answer', offered, token, slot, element: element.name });
  }

  refuse(offered: bigint): void {
    this.#send({ type: 'refuse', offered });
  }

  decline(tuple: Buffer, diagnosis: number): void {
    this.#send({ type: 'decline', tuple, diagnosis });
  }

  /**
   * After {@link start} found a foreign user: tells why, then ends. Not at once: whoever finds its peer gone while it says
   * hello does not read what came before.
   */
  declineForeign(tuple: Buffer): void {
    this.decline(tuple, REASONS['foreign-user'].code);
    setTimeout(() => this.end(), FOREIGN_LINGER_MS).unref();
  }

  /** No answer to this offer is awaited any more: it became a connection. */
  settled(token: bigint): void {
    this.#waiting.delete(token);
  }

  /** The peer's element of that name, mapped; undefined when there is none. */
  peerElement(name: ElementName): Element | undefined {
    return this.#peer.get(name);
  }

  /** Turns a reservation into a connection. */
  open({ slot, element }: Reservation, peer: Element, peerSlot: number): SmcdChannel {
    if (this.#doorbell === undefined) throw new Error('no hello yet');
    const channel = new SmcdChannel(this, this.#doorbell, element, slot, peer, peerSlot);
    this.#slots[slot] = channel;
    // Who has confirmed, said all there is and exited, may be gone before its Confirm is read.
    if (this.lost) process.nextTick(() => channel.lose(!this.#gone));
    return channel;
  }

  retire(channel: SmcdChannel): void {
    if (this.#slots[channel.slot] === channel) this.#freeSlot(channel.slot, channel.own);
  }

  /**
   * Ends the link group; connections in it are lost: reset, unless it ends because the peer is `gone`. What they still hold
   * is unmapped when the last one closes.
   */
  end(gone = false): void {
    if (this.lost) return;
    this.lost = true;
    this.#gone = gone;
    traceLinkGroup(this.id, gone ? 'has lost its peer' : 'ends');
    clearTimeout(this.#retry);
    for (const { descriptors } of this.#outbox.splice(0)) this.#closeAll(descriptors);
    this.onUse?.(this.#used);
    this.#control?.close();
    if (this.#hubIndex >= 0) this.hub.detach(this.#hubIndex);
    this.#hubIndex = -1;
    for (const answered of this.#waiting.values()) answered(undefined);
    this.#waiting.clear();
    this.#events.onLost(this);
    for (const channel of [...this.#slots]) {
      if (channel instanceof SmcdChannel) channel.lose(!gone);
    }
    this.#unmapIfUnused();
  }

  /** Returns how many tokens of the peer have been taken by now, for the hub to compare. */
  onNews(): number {
    return this.#news?.take(this.#deliver, this.#deliverAll) ?? 0;
  }

  #freeSlot(slot: number, element: Element): void {
    this.#slots[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#used--;
    this.onUse?.(this.#used);
    if (!this.lost) this.#own.free(element);
    this.#unmapIfUnused();
  }

  #unmapIfUnused(): void {
    if (!this.lost || this.#used > 0) return;
    this.#own.unmap();
    this.#peer.unmap();
    for (const page of [this.#page, this.#peerPage]) if (page !== undefined) this.#addon.unmap(page);
    this.#page = this.#peerPage = undefined;
  }

  /**
   * Sends a message, now or as soon as the peer's queue has room: it holds a few hundred, and a busy loop may be sent more
   * in one turn. False when it can't be sent at all. The descriptors stay the caller's.
   */
  #send(message: ControlMessage, descriptors: readonly number[] = []): boolean {
    if (this.lost || this.#control === undefined) return false;
    traceMessage(this.id, 'sends', message);
    const bytes = encode(message);
    if (this.#outbox.length === 0) {
      const result = this.#control.send(bytes, descriptors);
      if (result === 0) return true;
      if (result !== EAGAIN) {
        process.nextTick(() => this.end());
        return false;
      }
    }
    const kept = descriptors.map((descriptor) => this.#addon.keepDescriptor(descriptor));
    if (kept.some((descriptor) => descriptor < 0)) {
      this.#closeAll(kept);
      return false;
    }
    // Offers, answers and refusals of every slot, several times over: a peer that leaves so many unread is stopped for good.
    if (this.#outbox.push({ bytes, descriptors: kept }) > OUTBOX_MESSAGES) {
      process.nextTick(() => this.end());
      return false;
    }
    this.#retryLater(1);
    return true;
  }

  /** Sends what waits; again after some milliseconds, twice as many each time, as long as there is no room. */
  #retryLater(milliseconds: number): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      const before = this.#outbox.length;
      for (let next = this.#outbox[0]; next !== undefined; next = this.#outbox[0]) {
        const result = this.#control?.send(next.bytes, next.descriptors) ?? 0;
        if (result === EAGAIN) break;
        if (result !== 0) return this.end();
        this.#closeAll(next.descriptors);
        this.#outbox.shift();
      }
      if (this.#outbox.length > 0) this.#retryLater(this.#outbox.length < before ? 1 : Math.min(2 * milliseconds, 100));
    }, milliseconds).unref();
  }

  #closeAll(descriptors: readonly number[]): void {
    for (const descriptor of descriptors) if (descriptor >= 0) this.#addon.closeDescriptor(descriptor);
  }

  #onMessage(bytes: Buffer | undefined, descriptors: number[]): void {
    const message = bytes === undefined ? undefined : decode(bytes);
    if (message !== undefined) traceMessage(this.id, 'gets', message);
    const understood = message !== undefined && !this.lost && this.#take(message, descriptors);
    this.#closeAll(descriptors);
    if (bytes !== undefined && !understood) traceLinkGroup(this.id, `does not understand ${message?.type ?? bytes.toString('hex')}`);
    // Gone, or it says what no peer says: either way the link group is over. Nothing else is harmed.
    if (!understood) this.end(bytes === undefined);
  }

  #take(message: ControlMessage, descriptors: readonly number[]): boolean {
    // Without a user this is a link group that was not to be: see declineForeign.
    if (this.peerUser === undefined) return false;
    if (message.type === 'hello') return this.#onHello(message.version, message.instance, descriptors);
    if (this.peerInstance === undefined) {
      // A decline in place of hello is of who does not share memory with our user: there is nothing more to say.
      if (message.type === 'decline') this.#events.onDecline?.(message);
      return false;
    }
    if (message.type === 'segment') {
      return descriptors.length === 1 && this.#peer.add(message.id, message.elements, message.capacity, descriptors[0] as number);
    }
    if (descriptors.length > 0) return false;
    if (message.type === 'offer') {
      if (this.#events.onOffer === undefined) return false;
      this.#events.onOffer(this, message);
      return true;
    }
    if (message.type === 'decline') {
      this.#events.onDecline?.(message);
      return this.#events.onDecline !== undefined;
    }
    const answered = this.#waiting.get(message.offered);
    if (message.type === 'refuse') {
      this.#waiting.delete(message.offered);
      answered?.(undefined);
      return true;
    }
    answered?.(message);
    return answered !== undefined;
  }

  #onHello(version: number, instance: Buffer, descriptors: readonly number[]): boolean {
    const [descriptor] = descriptors;
    if (version !== PROTOCOL_VERSION || this.peerInstance !== undefined || descriptor === undefined || descriptors.length !== 1)
      return false;
    if (this.#addon.checkSegment(descriptor, DOORBELL_BYTES) !== 0) return false;
    const page = this.#addon.mapSegment(descriptor, DOORBELL_BYTES);
    if (typeof page === 'number') return false;
    this.#peerPage = page;
    if (!isDoorbell(page) || this.#page === undefined || this.#control === undefined) return false;
    this.#doorbell = new Doorbell(page, this.#control);
    this.#hubIndex = this.hub.attach(this.#page, page, this);
    this.peerInstance = instance;
    return this.#hubIndex >= 0;
  }
}
