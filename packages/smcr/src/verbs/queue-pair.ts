// queue-pair.ts - a reliable connected queue pair of a real device.

import { getSystemErrorName } from 'node:util';
import type { InitAttributes, QueuePair, QueuePairState, RtrAttributes, RtsAttributes, StallGuardOptions } from '../verbs-provider.js';
import type { NativeQueuePair } from './addon.js';
import { BITS16, BITS24, BITS32, BITS8, check, lengthOf, verbsError } from './checks.js';
import { nativeMemory } from './memory.js';

/** `enum ibv_qp_state`. */
const STATES: readonly QueuePairState[] = ['reset', 'init', 'rtr', 'rts', 'sqd', 'sqe', 'error'];
const MODIFY = 'ibv_modify_qp';

/** Posting with the same array allocates nothing. Stays usable until `destroy`, or `close` of its context, is called. */
export class IbvQueuePair implements QueuePair {
  readonly number: number;
  readonly #native: NativeQueuePair;
  #destroyed: Promise<void> | undefined;
  /** Of the post before. */
  #requests: Uint32Array | undefined;
  #length = 0;
  /** For these, when they have come twice in a row. */
  #bound: ((count: number) => number) | undefined;

  constructor(native: NativeQueuePair) {
    this.#native = native;
    this.number = native.number();
  }

  async toInit({ port, pkeyIndex, remoteWrite }: InitAttributes): Promise<void> {
    check(MODIFY, { port: [port, BITS8, 1], pkeyIndex: [pkeyIndex, BITS16] });
    await this.#native.toInit(port, pkeyIndex, remoteWrite);
  }

  async toRtr(attributes: RtrAttributes): Promise<void> {
    const { pathMtu, destQpNumber, rqPsn, maxDestRdAtomic, minRnrTimer, port, sgidIndex, dgid, hopLimit, trafficClass } = attributes;
    check(MODIFY, {
      ...{ pathMtu: [pathMtu, 5, 1], destQpNumber: [destQpNumber, BITS24], rqPsn: [rqPsn, BITS24] },
      ...{ maxDestRdAtomic: [maxDestRdAtomic, BITS8], minRnrTimer: [minRnrTimer, 31], port: [port, BITS8, 1] },
      ...{ sgidIndex: [sgidIndex, BITS8], hopLimit: [hopLimit, BITS8], trafficClass: [trafficClass, BITS8] },
    });
    if (!(dgid instanceof Uint8Array) || dgid.length !== 16) throw verbsError('EINVAL', MODIFY, 'dgid must be 16 bytes');
    const numbers = [pathMtu, destQpNumber, rqPsn, maxDestRdAtomic, minRnrTimer, port, sgidIndex, hopLimit, trafficClass];
    await this.#native.toRtr(...numbers, dgid);
  }

  async toRts({ sqPsn, timeout, retryCount, rnrRetry, maxRdAtomic }: RtsAttributes): Promise<void> {
    check(MODIFY, {
      ...{ sqPsn: [sqPsn, BITS24], timeout: [timeout, 31], retryCount: [retryCount, 7] },
      ...{ rnrRetry: [rnrRetry, 7], maxRdAtomic: [maxRdAtomic, BITS8] },
    });
    await this.#native.toRts(sqPsn, timeout, retryCount, rnrRetry, maxRdAtomic);
  }

  async toError(): Promise<void> {
    await this.#native.toState(true);
  }

  async toReset(): Promise<void> {
    await this.#native.toState(false);
  }

  async queryState(): Promise<QueuePairState> {
    return STATES[await this.#native.queryState()] ?? 'error';
  }

  /** Who posts message after message has their requests in the same array. */
  postSend(requests: Uint32Array, count: number): number {
    const again = requests === this.#requests;
    // The length changes when an array is detached, and its memory is somebody else's then.
    if (again && this.#bound !== undefined && lengthOf(requests) === this.#length) return this.#bound(count);
    this.#requests = this.#bound = undefined;
    // Looks whether they are what they should be.
    const taken = this.#native.postSend(requests, count);
    if (again) this.#bound = this.#native.sender(requests);
    this.#requests = requests;
    this.#length = lengthOf(requests);
    return taken;
  }

  postReceive(requests: Uint32Array, count: number): number {
    return this.#native.postReceive(requests, count);
  }

  guard({ testLink, receive, receiveLength, receiveSlots, firstReceive, answer, answerAt }: StallGuardOptions): void {
    check('guard', {
      ...{ testLink: [testLink, BITS8], receiveLength: [receiveLength, BITS32, 1], receiveSlots: [receiveSlots, BITS32, 1] },
      ...{ firstReceive: [firstReceive, BITS32], answerAt: [answerAt, BITS32] },
    });
    const [from, to] = [nativeMemory(receive), nativeMemory(answer)];
    const rc = this.#native.guard(testLink, from, receiveLength, receiveSlots, firstReceive, to, answerAt);
    if (rc !== 0)
      throw Object.assign(new Error('the stall guard cannot be had'), { code: getSystemErrorName(rc), errno: rc, syscall: 'guard' });
  }

  destroy(): Promise<void> {
    this.#requests = this.#bound = undefined;
    this.#destroyed ??= this.#native.destroy();
    return this.#destroyed;
  }
}
