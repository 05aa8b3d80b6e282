// link-queue.ts - one link's queue pair at work: posting messages and writes, keeping receives posted, telling what completed.
//
// Send slots are what bounds it: each message has one until its completion, and brings up to three unsignaled writes in front of it.
// So the send queue can never overflow, and a completion says that the writes before it are done, too. Per message nothing is
// allocated.

import { CDC_LENGTH, writeCdc } from '../cdc/index.js';
import { MAX_WRITES, type Transmission } from '../connection/index.js';
import type { Member } from '../group/index.js';
import { LLC_TYPE, type LlcVersion } from '../llc/index.js';
import { OPCODE, type ProtectionDomain, type QueuePair, RECEIVE_WR, SEND_FLAG, SEND_WR } from '../verbs-provider.js';
import { type Base, baseOf, putAddress, putSend } from './addresses.js';
import type { Binding } from './bindings.js';
import { GUARD_AT, LONG_SLOT, type MessageSlots, RECEIVE_SLOTS, SEND_SLOTS, SHORT_MESSAGE } from './message-slots.js';

/** Every message with its writes, the long slot, and an answer of the stall guard. */
export const SEND_QUEUE = (SEND_SLOTS + 1) * (MAX_WRITES + 1) + 1;

/** Receives that are posted at a time. */
const RECEIVE_BATCH = 16;
const RECEIVE_ID = 0x80000000;
/** Far more than all exchanges can have underway. */
const MOST_WAITING = 256;

/** Is it the completion of a receive? Its number, or -1. */
export function receiveSlot(id: number): number {
  return id >= RECEIVE_ID ? id - RECEIVE_ID : -1;
}

export class LinkQueue {
  readonly pair: QueuePair;
  readonly pd: ProtectionDomain;
  readonly slots: MessageSlots;
  readonly #sendBase: Base;
  readonly #receiveBase: Base;
  readonly #requests = new Uint32Array((MAX_WRITES + 1) * SEND_WR.words);
  readonly #receives = new Uint32Array(RECEIVE_SLOTS * RECEIVE_WR.words);
  /** Posting failed: the queue pair is of no use any more. */
  broken = false;
  #toPost = 0;
  #posted = 0;
  #flushing = false;
  #nextSlot = 0;
  #used = 0;
  #longUsed = false;
  /** Whose message a slot has; undefined: LLC, or free. */
  readonly #owners: (Member | undefined)[] = Array.from({ length: SEND_SLOTS + 1 }, () => undefined);
  /** Messages waiting for a slot: LLC, in order. */
  readonly #backlog: Uint8Array[] = [];

  readonly #inline: number;

  /** `inline`: bytes that a request can carry itself. */
  constructor(pair: QueuePair, pd: ProtectionDomain, slots: MessageSlots, inline: number) {
    this.#inline = inline;
    this.pair = pair;
    this.pd = pd;
    this.slots = slots;
    this.#sendBase = baseOf(slots.send.address, slots.send.lkey);
    this.#receiveBase = baseOf(slots.receive.address, slots.receive.lkey);
  }

  /** A short slot is free, and no LLC message waits for it. */
  get hasSlot(): boolean {
    return !this.broken && this.#used < SEND_SLOTS && this.#backlog.length === 0;
  }

  /** Nothing is posted or waits. */
  get isIdle(): boolean {
    return this.#used === 0 && !this.#longUsed && this.#backlog.length === 0;
  }

  /**
   * After ERROR: every receive that completed before has been seen, for those that are flushed come behind them. One that was flushed is
   * enough: what is posted to a queue pair in ERROR need never complete (rdma_rxe).
   */
  get isFlushed(): boolean {
    return this.#flushing || this.#posted === 0;
  }

  /** In state RTS: the link outlives a loop that stands still, where the provider can do that. */
  guard(version: LlcVersion): void {
    const { send, receive, receiveLength } = this.slots;
    const testLink = version === 2 ? LLC_TYPE.testLink + 0x20 : LLC_TYPE.testLink;
    this.pair.guard?.({
      ...{ testLink, receive, receiveLength, receiveSlots: RECEIVE_SLOTS },
      ...{ firstReceive: RECEIVE_ID, answer: send, answerAt: GUARD_AT },
    });
  }

  /** In state INIT or later. */
  postAllReceives(): void {
    for (let slot = 0; slot < RECEIVE_SLOTS; slot++) this.received(slot);
    this.postReceives(true);
  }

  /** A receive slot was looked at; it is posted again by {@link postReceives}. */
  received(slot: number): void {
    const at = this.#toPost++ * RECEIVE_WR.words;
    const words = this.#receives;
    words[at + RECEIVE_WR.id] = RECEIVE_ID + slot;
    words[at + RECEIVE_WR.lkey] = this.#receiveBase.key;
    putAddress(words, at + RECEIVE_WR.localLow, this.#receiveBase, slot * this.slots.receiveLength);
    words[at + RECEIVE_WR.length] = this.slots.receiveLength;
  }

  /** A few at a time, unless it is about all: the peer has at most as many messages underway as it has slots, far fewer than we receives. */
  postReceives(all = false): void {
    if (this.#toPost === 0 || (!all && this.#toPost < RECEIVE_BATCH)) return;
    const count = this.#toPost;
    this.#toPost = 0;
    this.#posted += count;
    try {
      if (this.pair.postReceive(this.#receives, count) !== count) this.broken = true;
    } catch {
      this.broken = true;
    }
  }

  /** A receive completed, with a message or flushed. */
  completedReceive(success: boolean): void {
    this.#posted--;
    if (!success) this.#flushing = true;
  }

  /** Posts what a connection transmits; there is a slot. */
  post(member: Member, out: Transmission, { local, remote }: Binding): void {
    const slot = this.#takeSlot();
    const words = this.#requests;
    const { writes } = out;
    for (let i = 0; i < out.writeCount; i++) {
      const from = writes[3 * i] as number;
      const to = writes[3 * i + 1] as number;
      const length = writes[3 * i + 2] as number;
      putSend(words, i, slot, OPCODE.rdmaWrite, this.#carried(length), local, from, length, remote, to);
    }
    writeCdc(this.slots.send.bytes, this.slots.sendAt(slot), out.message);
    this.#owners[slot] = member;
    this.#postSend(slot, CDC_LENGTH, out.writeCount);
  }

  /**
   * Sends an LLC message, now or when a slot is free. False when the link is of no use: too many wait for a peer that
   * takes none, or posting failed.
   */
  send(message: Uint8Array): boolean {
    if (this.#backlog.length === MOST_WAITING) return false;
    this.#backlog.push(message);
    this.#sendBacklog();
    return !this.broken;
  }

  /** The message of this slot is done. Returns whose CDC it was. */
  sent(slot: number): Member | undefined {
    const owner = this.#owners[slot];
    this.#owners[slot] = undefined;
    if (slot === LONG_SLOT) this.#longUsed = false;
    else this.#used--;
    this.#sendBacklog();
    return owner;
  }

  #sendBacklog(): void {
    if (this.#backlog.length === 0) return;
    for (let message = this.#backlog[0]; message !== undefined; message = this.#backlog[0]) {
      const long = message.length > SHORT_MESSAGE;
      if (long ? this.#longUsed : this.#used === SEND_SLOTS) return;
      this.#backlog.shift();
      const slot = long ? LONG_SLOT : this.#takeSlot();
      if (long) this.#longUsed = true;
      this.slots.send.bytes.set(message, this.slots.sendAt(slot));
      this.#postSend(slot, message.length, 0);
    }
  }

  #postSend(slot: number, length: number, before: number): void {
    const flags = SEND_FLAG.signaled | SEND_FLAG.solicited | this.#carried(length);
    putSend(this.#requests, before, slot, OPCODE.send, flags, this.#sendBase, this.slots.sendAt(slot), length);
    try {
      // The slots see to it that they always fit.
      if (this.pair.postSend(this.#requests, before + 1) !== before + 1) this.broken = true;
    } catch {
      this.broken = true;
    }
  }

  #carried(length: number): number {
    return length <= this.#inline ? SEND_FLAG.inline : 0;
  }

  /** Slots get free in the order they were taken: one queue pair completes in order. */
  #takeSlot(): number {
    const slot = this.#nextSlot;
    this.#nextSlot = (slot + 1) % SEND_SLOTS;
    this.#used++;
    return slot;
  }
}
