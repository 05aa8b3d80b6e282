// queue-pair.ts - a simulated RC queue pair: requests go out in order, are executed once and in order at the peer, are acknowledged;
// what is not acknowledged is sent again until the retries are used up; then the pair is in ERROR and everything is flushed.
//
// The memory of a request is read when it is executed at the peer, later than real adapters do: a sender that reuses it before the
// acknowledgement is found out.

import {
  COMPLETION_OPCODE,
  type InitAttributes,
  OPCODE,
  type QueuePair,
  type QueuePairOptions,
  type QueuePairState,
  RECEIVE_WR,
  type RtrAttributes,
  type RtsAttributes,
  SEND_FLAG,
  SEND_WR,
  STATUS,
} from '../../src/verbs-provider.js';
import type { SimulatedQueue } from './completion-queue.js';
import { systemError } from './memory.js';
import type { SimulatedContext } from './provider.js';

interface Request {
  readonly words: Uint32Array;
  readonly sequence: number;
  /** What is on the wire when the pair breaks: nobody reads the memory any more. */
  bytes?: Buffer | undefined;
}

const address = (words: Uint32Array, at: number): bigint => (BigInt(words[at + 1] as number) << 32n) | BigInt(words[at] as number);
/** Milliseconds without an acknowledgement until everything is sent again. */
const RETRY_AFTER = 4;
const RNR_DELAY = 0.5;

export class SimulatedPair implements QueuePair {
  readonly number: number;
  readonly domain: object;
  state: QueuePairState = 'reset';
  readonly #context: SimulatedContext;
  readonly #options: QueuePairOptions;
  #gid: Uint8Array = new Uint8Array(16);
  #peer: { readonly gid: Uint8Array; readonly number: number } | undefined;
  #rqPsn = 0;
  #sqPsn = 0;
  #retryCount = 7;
  /** Posted and not acknowledged, oldest first. */
  readonly #requests: Request[] = [];
  #nextSequence = 0;
  /** Number of the next request to execute, as responder. */
  #expected = 0;
  #lastArrival = 0;
  #retries = 0;
  #timer: (() => void) | undefined;
  readonly #receives: Uint32Array[] = [];

  constructor(context: SimulatedContext, domain: object, options: QueuePairOptions, number: number) {
    this.#context = context;
    this.domain = domain;
    this.#options = options;
    this.number = number;
  }

  async toInit({ port }: InitAttributes): Promise<void> {
    await this.#control('reset');
    this.#gid = this.#context.gidOf(port);
    this.state = 'init';
    this.#context.fabric.add(this.#gid, this);
  }

  async toRtr({ dgid, destQpNumber, rqPsn }: RtrAttributes): Promise<void> {
    await this.#control('init');
    this.#peer = { gid: dgid.slice(), number: destQpNumber };
    this.#rqPsn = rqPsn;
    this.state = 'rtr';
  }

  async toRts({ sqPsn, retryCount }: RtsAttributes): Promise<void> {
    await this.#control('rtr');
    this.#sqPsn = sqPsn;
    this.#retryCount = retryCount;
    this.state = 'rts';
  }

  async toError(): Promise<void> {
    await this.#context.control();
    this.fail(STATUS.flushed);
  }

  async toReset(): Promise<void> {
    await this.#context.control();
    this.state = 'reset';
  }

  async queryState(): Promise<QueuePairState> {
    await this.#context.control();
    return this.state;
  }

  async destroy(): Promise<void> {
    await this.#context.control();
    this.fail(STATUS.flushed);
    this.#context.fabric.remove(this.#gid, this);
    (this.#options.sendQueue as SimulatedQueue).forget(this.number);
    (this.#options.receiveQueue as SimulatedQueue).forget(this.number);
    this.state = 'reset';
    this.#context.pairs.delete(this);
  }

  postSend(requests: Uint32Array, count: number): number {
    if (this.state !== 'rts' && this.state !== 'error') throw systemError('EINVAL', 'ibv_post_send');
    for (let i = 0; i < count; i++) {
      if (this.#requests.length === this.#options.maxSend) return i;
      const words = requests.slice(i * SEND_WR.words, (i + 1) * SEND_WR.words);
      this.#requests.push({ words, sequence: this.#nextSequence++ });
      if (this.state === 'error') continue;
      this.#transmit(this.#requests.at(-1) as Request);
    }
    if (this.state === 'error') this.#flush(STATUS.flushed);
    return count;
  }

  postReceive(requests: Uint32Array, count: number): number {
    if (this.state === 'reset') throw systemError('EINVAL', 'ibv_post_recv');
    for (let i = 0; i < count; i++) {
      if (this.#receives.length === this.#options.maxReceive) return i;
      this.#receives.push(requests.slice(i * RECEIVE_WR.words, (i + 1) * RECEIVE_WR.words));
    }
    if (this.state === 'error' && !this.#context.deafInError) this.#flush(STATUS.flushed);
    return count;
  }

  /** The pair breaks: what is posted is flushed, the oldest request with `status`. */
  fail(status: number): void {
    if (this.state === 'error' || this.state === 'reset') return;
    this.state = 'error';
    for (const request of this.#requests) {
      const source = this.sourceOf(request.words);
      request.bytes = source === undefined ? undefined : Buffer.from(source);
    }
    this.#timer?.();
    this.#timer = undefined;
    this.#flush(status);
  }

  #flush(first: number): void {
    let status = first;
    for (const { words } of this.#requests.splice(0)) {
      this.#complete(words, status);
      status = STATUS.flushed;
    }
    for (const words of this.#receives.splice(0)) {
      this.#context.complete(this.#options.receiveQueue as SimulatedQueue, [
        words[RECEIVE_WR.id] as number,
        STATUS.flushed,
        0,
        0,
        0,
        0,
        this.number,
        0,
      ]);
    }
  }

  async #control(from: QueuePairState): Promise<void> {
    await this.#context.control();
    if (this.state !== from) throw systemError('EINVAL', 'ibv_modify_qp');
  }

  #transmit(request: Request): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const { fabric } = this.#context;
    fabric.requests++;
    fabric.onRequest?.(fabric.requests);
    if (this.state !== 'rts') return;
    this.#watch();
    this.#lastArrival = fabric.carry(this.#gid, peer.gid, this.#lastArrival, () => {
      fabric.find(peer.gid, peer.number)?.arrived(this, request);
    });
  }

  /** As responder. */
  arrived(from: SimulatedPair, { words, sequence, bytes }: Request): void {
    if (this.state !== 'rtr' && this.state !== 'rts') return;
    if (this.#peer?.number !== from.number || from.#sqPsn !== this.#rqPsn) return;
    if (sequence > this.#expected) return;
    if (sequence === this.#expected) {
      const status = this.#execute(words, bytes ?? from.sourceOf(words));
      if (status === STATUS.rnrRetryExceeded) {
        this.#reply(from, () => from.#notReady(sequence));
        return;
      }
      if (status !== STATUS.success) {
        this.#reply(from, () => from.fail(status));
        this.fail(STATUS.flushed);
        return;
      }
      this.#expected++;
    }
    const done = this.#expected;
    this.#reply(from, () => from.#acknowledged(done));
  }

  #reply(to: SimulatedPair, arrive: () => void): void {
    this.#context.fabric.carry(this.#gid, to.#gid, 0, () => {
      if (to.state === 'rts') arrive();
    });
  }

  /** The bytes of a request as they are now. */
  sourceOf(words: Uint32Array): Buffer | undefined {
    const local = address(words, SEND_WR.localLow);
    return this.#context.memory.at(this.domain, words[SEND_WR.lkey] as number, local, words[SEND_WR.length] as number, false);
  }

  #execute(words: Uint32Array, source: Buffer | undefined): number {
    const length = words[SEND_WR.length] as number;
    if (source === undefined) return STATUS.localProtection;
    if (words[SEND_WR.opcode] === OPCODE.rdmaWrite) {
      const remote = address(words, SEND_WR.remoteLow);
      const target = this.#context.memory.at(this.domain, words[SEND_WR.rkey] as number, remote, length, true);
      if (target === undefined) return STATUS.remoteAccess;
      source.copy(target);
      return STATUS.success;
    }
    const receive = this.#receives[0];
    if (receive === undefined) return STATUS.rnrRetryExceeded;
    if ((receive[RECEIVE_WR.length] as number) < length) return STATUS.remoteInvalidRequest;
    this.#receives.shift();
    const target = this.#context.memory.at(
      this.domain,
      receive[RECEIVE_WR.lkey] as number,
      address(receive, RECEIVE_WR.localLow),
      length,
      false,
    );
    if (target === undefined) return STATUS.remoteOperation;
    source.copy(target);
    const record = [receive[RECEIVE_WR.id] as number, STATUS.success, COMPLETION_OPCODE.receive, length, 0, 0, this.number, 0];
    const solicited = ((words[SEND_WR.flags] as number) & SEND_FLAG.solicited) !== 0;
    this.#context.complete(this.#options.receiveQueue as SimulatedQueue, record, solicited);
    return STATUS.success;
  }

  /** As requester: everything before `done` has been executed. */
  #acknowledged(done: number): void {
    while (this.#requests.length > 0 && (this.#requests[0] as Request).sequence < done) {
      const { words } = this.#requests.shift() as Request;
      this.#retries = 0;
      if (((words[SEND_WR.flags] as number) & SEND_FLAG.signaled) !== 0) this.#complete(words, STATUS.success);
    }
    this.#timer?.();
    this.#timer = undefined;
    if (this.#requests.length > 0) this.#watch();
  }

  #notReady(sequence: number): void {
    this.#context.fabric.notReady++;
    this.#context.fabric.time.after(RNR_DELAY, () => {
      if (this.state === 'rts' && this.#requests[0]?.sequence === sequence) this.#again();
    });
  }

  #watch(): void {
    this.#timer ??= this.#context.fabric.time.after(RETRY_AFTER, () => {
      this.#timer = undefined;
      if (this.state !== 'rts' || this.#requests.length === 0) return;
      if (this.#retries++ === this.#retryCount) this.fail(STATUS.retryExceeded);
      else this.#again();
    });
  }

  #again(): void {
    for (const request of [...this.#requests]) this.#transmit(request);
  }

  #complete(words: Uint32Array, status: number): void {
    const opcode = words[SEND_WR.opcode] === OPCODE.rdmaWrite ? COMPLETION_OPCODE.rdmaWrite : COMPLETION_OPCODE.send;
    this.#context.complete(this.#options.sendQueue as SimulatedQueue, [
      words[SEND_WR.id] as number,
      status,
      opcode,
      0,
      0,
      0,
      this.number,
      0,
    ]);
  }
}
