// connection.ts - one end of an SMC-R connection, without I/O: CDC messages and completions in, RDMA WRITEs and CDC messages out.
//
// How it serves the ring of @smcjs/core. Between processes the words of a ring's header are shared memory; here each end has its
// own header for both directions, in private memory, and this class moves between it and CDC what the peer would have stored:
//
//   tx ring: data = the send buffer, registered     producerCursor, connState   stored by RingProducer, read here: bytes to write
//                                                                              to the peer's RMBE, end or close to tell
//                                                    consumerCursor             stored here: what was acknowledged. The peer's
//                                                                              RMBE has a window of its own, see send-half.ts
//   rx ring: data = our RMBE, written by the peer    producerCursor, connState,
//                                                    writeBlocked               stored here from CDC, after checking
//                                                    consumerCursor             stored by RingConsumer, read here: what to report
//
// So RingProducer and RingConsumer are used as they are; `Channel.notify()` becomes "transmit when pending". Where the send buffer
// has the size of the peer's RMBE, a byte has the same offset in both. Nobody but this thread has these headers: they are read and
// written here like any other memory.
//
// Nothing here trusts the peer: each cursor of a message is checked once against what is possible, and a message that cannot be
// is a violation, which aborts this connection only. receive, transmit and completed allocate nothing.

import { CONN_STATE, type RingMemory, WORD } from '@smcjs/core/backend';
import { CDC_FLAG, CDC_STATE, type CdcMessage, isBefore } from '../cdc/index.js';
import { CloseStates } from './close-state.js';
import { ReceiveHalf } from './receive-half.js';
import { HELD_BACK, MAX_UNDERWAY, SendHalf } from './send-half.js';
import type { Transmission } from './transmission.js';

/** What a message or completion has changed, for whoever owns the connection. Bits. */
export const NEWS = {
  /** There is more to read. */
  data: 1,
  /** There is more room in the send buffer. */
  room: 2,
  /** The peer shut down, closed or aborted, or the connection is lost: the state word of the rx ring has it. */
  state: 4,
  /** An urgent byte arrived, see {@link SmcrConnection.urgentAt}. */
  urgent: 8,
  /** The peer broke the protocol; the connection is aborted. */
  violation: 16,
  /** A failover showed that bytes are missing; the connection is aborted. */
  gap: 32,
} as const;

/** A side that has closed waits so long for the peer's close, milliseconds. As long as Linux keeps TCP's FIN_WAIT_2. */
export const CLOSE_TIMEOUT = 60_000;

const CLOSE_BITS = CDC_STATE.sendingDone | CDC_STATE.closed | CDC_STATE.abnormal;

export interface ConnectionOptions {
  /** Ours, in every CDC message to us. */
  readonly token: number;
  /** The peer's. */
  readonly peerToken: number;
  /** Send buffer with its private header. */
  readonly tx: Pick<RingMemory, 'words' | 'capacity'>;
  /** Our RMBE with its private header. */
  readonly rx: Pick<RingMemory, 'words' | 'capacity'>;
  /** Bytes, a power of two. */
  readonly peerRmbeSize: number;
  /** Another link may take over when one fails: see {@link HELD_BACK}. */
  readonly mayMove: boolean;
}

export class SmcrConnection {
  readonly token: number;
  readonly peerToken: number;
  readonly send: SendHalf;
  readonly receiving: ReceiveHalf;
  readonly closing = new CloseStates();
  /** Of the message that broke the protocol: which part of it. */
  violation: 'producer cursor' | 'consumer cursor' | undefined;
  /** CDC messages and RDMA WRITEs transmitted. */
  messages = 0;
  writes = 0;

  readonly #tx: Int32Array;
  readonly #rx: Int32Array;
  /** A CDC message must go out even if it says nothing new. */
  #due = false;
  /** The next message is the failover validation. */
  #validate = false;
  #closeDeadline = Number.POSITIVE_INFINITY;

  constructor(options: ConnectionOptions) {
    this.token = options.token;
    this.peerToken = options.peerToken;
    this.send = new SendHalf(options.tx.capacity, options.peerRmbeSize, options.mayMove ? HELD_BACK : 0);
    this.receiving = new ReceiveHalf(options.rx.capacity);
    this.#tx = options.tx.words;
    this.#rx = options.rx.words;
  }

  /** Position behind the newest urgent byte, in bytes from the start modulo 2^32. */
  get urgentAt(): number | undefined {
    return this.receiving.urgentAt;
  }

  /** Both sides have closed, or it is lost, and nothing is posted any more: the send buffer is free again. */
  get finished(): boolean {
    return this.closing.state === 'closed' && this.send.underway === 0 && !this.#due;
  }

  /**
   * The peer has said that it writes no more, so the element can be used for another connection. Without it (an abort of ours that
   * was not answered) late writes may still come: the element must rest until its rkey or its links are gone.
   */
  get clean(): boolean {
    return this.finished && this.closing.receivedAnyClose;
  }

  /** The peer has said that it is done with the connection, or it is lost: it need not have it any more. */
  get peerIsDone(): boolean {
    return this.closing.state === 'closed' || this.closing.receivedAnyClose;
  }

  /** We have ended and the peer has not: it may still send. */
  get isHalfClosed(): boolean {
    return this.closing.state === 'peerCloseWait1';
  }

  /** The program waits for room in the send buffer. */
  get writerWaits(): boolean {
    return this.#tx[WORD.writeBlocked] !== 0;
  }

  /** When {@link tick} has something to do. */
  get deadline(): number {
    return this.#closeDeadline;
  }

  /**
   * Does this message say that an earlier one arrived which we have not seen? It may wait in the receive queue of the failed link:
   * look there before {@link receive}, which takes it for lost.
   */
  suspectsGap(message: CdcMessage): boolean {
    return (message.flags & CDC_FLAG.failoverValidation) !== 0 && isBefore(this.receiving.sequence, message.sequence);
  }

  /** Takes a message with our token. Returns {@link NEWS} bits. Look at {@link pending} afterwards. */
  receive(message: CdcMessage): number {
    if (this.closing.state === 'closed') {
      this.closing.received |= message.state & CLOSE_BITS;
      return 0;
    }
    const { receiving } = this;
    if ((message.flags & CDC_FLAG.failoverValidation) !== 0) {
      // The sender knows that its message of this number arrived at our adapter. We have not seen it: bytes are missing.
      return this.suspectsGap(message) ? this.#abort(NEWS.gap) : 0;
    }
    if (isBefore(message.sequence, receiving.sequence)) return 0;
    const before = this.send.acknowledged;
    const freed = this.send.consumerCursor(message.consumerWrap, message.consumerOffset);
    const arrived = receiving.producerCursor(message.producerWrap, message.producerOffset);
    if (freed === undefined || arrived === undefined) {
      this.violation = arrived === undefined ? 'producer cursor' : 'consumer cursor';
      return this.#abort(NEWS.violation);
    }
    receiving.sequence = message.sequence;
    receiving.flags = message.flags;

    let news = this.#acknowledgedSince(before);
    if (arrived > 0) {
      this.#rx[WORD.producerCursor] = receiving.produced;
      news |= NEWS.data;
      if ((message.flags & CDC_FLAG.urgentPresent) !== 0) {
        receiving.urgentAt = receiving.produced >>> 0;
        news |= NEWS.urgent;
      }
    }
    // What was asked for is due even if nothing was read meanwhile.
    if ((message.flags & CDC_FLAG.urgentPending) !== 0) this.#due = true;
    this.#rx[WORD.writeBlocked] = (message.flags & CDC_FLAG.writeBlocked) !== 0 ? 1 : 0;
    return news | this.#peerState(message.state);
  }

  /** Is there something to transmit? The owner calls {@link transmit} until not, or until its link has no slots. */
  pending(): boolean {
    if (this.send.underway === MAX_UNDERWAY) return false;
    if (this.#validate || this.#due) return true;
    if (this.closing.state === 'closed') return false;
    if (this.#closeEvent() !== undefined) return true;
    return (!this.#muted() && this.send.wants(this.#prepared())) || this.receiving.wants(this.#consumed());
  }

  /** What goes out next; {@link pending} was true. It counts as posted: exactly one of completed, lost, failover follows. */
  transmit(out: Transmission): void {
    this.messages++;
    out.writeCount = 0;
    const { message } = out;
    message.token = this.peerToken;
    if (this.#validate) {
      this.#validate = false;
      message.sequence = this.send.validationSequence();
      message.flags = CDC_FLAG.failoverValidation;
      message.state = 0;
      message.producerWrap = message.producerOffset = message.consumerWrap = message.consumerOffset = 0;
      return;
    }
    // pairs with RingProducer.publish: the bytes before this cursor are in the send buffer
    message.flags = this.#muted() ? 0 : this.send.transmit(this.#prepared(), out);
    for (let event = this.#closeEvent(); event !== undefined; event = this.#closeEvent()) this.closing.step(event);
    this.#due = false;
    // pairs with RingConsumer.publish: the bytes before this cursor have been read and may be written again
    this.receiving.report(this.#consumed());
    message.sequence = this.send.nextSequence();
    message.producerWrap = this.send.cursor.wrap;
    message.producerOffset = this.send.cursor.offset;
    message.consumerWrap = this.receiving.cursor.wrap;
    message.consumerOffset = this.receiving.cursor.offset;
    message.state = this.closing.sent;
    this.writes += out.writeCount;
  }

  /** The oldest message transmitted has been acknowledged by the peer's adapter. Returns {@link NEWS} bits. */
  completed(): number {
    const before = this.send.acknowledged;
    this.send.completed();
    return this.#acknowledgedSince(before);
  }

  /**
   * The link is lost and another takes over: nothing of what was posted completes any more. The next transmission is the failover
   * validation, the one after it repeats what may be lost: bytes, cursors and state. Returns {@link NEWS} bits: what the peer has read
   * has arrived, acknowledged or not.
   */
  failover(): number {
    const before = this.send.acknowledged;
    this.send.rewind();
    if (this.closing.state !== 'closed' || this.closing.sent !== 0) this.#validate = this.#due = true;
    return this.#acknowledgedSince(before);
  }

  /** The link is lost over which the peer sends, which is not ours: its last words may be lost, too. Returns {@link NEWS} bits. */
  unheard(): number {
    this.send.unheard();
    if (this.closing.state !== 'closed') this.#due = true;
    return 0;
  }

  /** No link is left. Returns {@link NEWS} bits. */
  lost(): number {
    this.send.rewind();
    this.#validate = this.#due = false;
    if (this.closing.state === 'closed') return 0;
    this.closing.step('lost');
    // A peer that has closed in order has said all it had to say, and it is here.
    const { received } = this.closing;
    return (received & CDC_STATE.closed) !== 0 && (received & CDC_STATE.abnormal) === 0 ? NEWS.state : this.#reset();
  }

  /** The link lives, and the peer says that it does not have this connection. Returns {@link NEWS} bits. */
  unknown(): number {
    return this.peerIsDone ? 0 : this.#abort(0);
  }

  /** The byte last put into the tx ring is urgent. Call it before that byte is transmitted. */
  markUrgent(): void {
    this.send.markUrgent(this.#prepared());
  }

  /** Time goes by. Returns {@link NEWS} bits. */
  tick(now: number): number {
    const { closing } = this;
    if (!closing.released || closing.state === 'closed') {
      this.#closeDeadline = Number.POSITIVE_INFINITY;
      return 0;
    }
    if (this.#closeDeadline === Number.POSITIVE_INFINITY) this.#closeDeadline = now + CLOSE_TIMEOUT;
    if (now < this.#closeDeadline) return 0;
    closing.sent |= CDC_STATE.abnormal;
    closing.step('lost');
    this.#due = true;
    return this.#reset();
  }

  #acknowledgedSince(before: number): number {
    if (this.send.acknowledged === before) return 0;
    this.#tx[WORD.consumerCursor] = this.send.acknowledged;
    return NEWS.room;
  }

  #prepared(): number {
    return this.#tx[WORD.producerCursor] as number;
  }

  #consumed(): number {
    return this.#rx[WORD.consumerCursor] as number;
  }

  /** No more bytes: the peer reads nothing any more, or we said that we abort. */
  #muted(): boolean {
    const { closing } = this;
    return closing.receivedAnyClose || (closing.sent & CDC_STATE.abnormal) !== 0 || (this.#wanted() & CONN_STATE.abnormal) !== 0;
  }

  #wanted(): number {
    return this.#tx[WORD.connState] as number;
  }

  /** The next step this side's state word asks for. An end waits until every byte is sent, an abort does not. */
  #closeEvent(): 'abort' | 'close' | 'shutdown' | undefined {
    const { closing } = this;
    const wanted = this.#wanted();
    if (wanted === 0 || closing.released || closing.state === 'closed') return undefined;
    if ((wanted & CONN_STATE.abnormal) !== 0) return 'abort';
    if (this.send.sent !== this.#prepared() && !closing.receivedAnyClose) return undefined;
    if ((wanted & CONN_STATE.closed) !== 0) return 'close';
    return (closing.sent & CDC_STATE.sendingDone) === 0 && !closing.receivedAnyClose ? 'shutdown' : undefined;
  }

  #peerState(state: number): number {
    const { closing } = this;
    const fresh = state & ~closing.received & CLOSE_BITS;
    if (fresh === 0) return 0;
    let due = false;
    if ((fresh & CDC_STATE.sendingDone) !== 0) due = closing.step('peer-done') || due;
    if ((fresh & CDC_STATE.abnormal) !== 0) due = closing.step('peer-abort') || due;
    else if ((fresh & CDC_STATE.closed) !== 0) due = closing.step('peer-closed') || due;
    if (due) this.#due = true;
    // Bytes first, then the state: the reader looks the other way round.
    const { received } = closing;
    const abnormal = (received & CDC_STATE.abnormal) !== 0 ? CONN_STATE.closed | CONN_STATE.abnormal : 0;
    this.#rx[WORD.connState] = received | abnormal;
    return NEWS.state;
  }

  #abort(news: number): number {
    this.closing.sent |= CDC_STATE.abnormal;
    this.closing.step('lost');
    this.#due = true;
    return news | this.#reset();
  }

  #reset(): number {
    this.#rx[WORD.connState] = CONN_STATE.closed | CONN_STATE.abnormal;
    return NEWS.state;
  }
}
