// ring-stream.ts - the stream side of a ring connection: what `write`, 'data', end and destroy of the socket mean there.
//
// Received bytes are copied into private memory before anybody sees them: the peer can change the ring at any time.
// A write is copied once, into the peer's ring. Nothing is allocated per write; per read there is the chunk handed out.

import type { AsyncResource } from 'node:async_hooks';
import { SmcError, systemError } from '../errors.js';
import { CONN_STATE } from '../ring/layout.js';
import type { Channel, ChannelSink } from '../transport/channel.js';
import { ReceiveMemory } from './receive-memory.js';
import { RingSender, type SenderOwner } from './ring-sender.js';
import { WriteNotices } from './write-notices.js';

/** What to do about a peer that breaks the protocol. */
const VIOLATION_HINT = 'the connection was reset: look for the error at the other end, which is faulty or hostile, and what SMC it runs';

/** The socket, as the stream needs it. */
export interface StreamOwner {
  push(chunk: Buffer | null): boolean;
  emit(event: 'data', chunk: Buffer): boolean;
  readonly readableFlowing: boolean | null;
  readonly readableLength: number;
  readonly readableEncoding: BufferEncoding | null;
  read(size?: number): unknown;
  resume(): unknown;
  destroy(error?: Error): unknown;
  readonly destroyed: boolean;
  /** Activity: restarts the idle timer. */
  _unrefTimer(): void;
}

/** The option of that name; its functions are called as methods of the socket. */
export interface OnRead {
  readonly buffer: Uint8Array | ((this: StreamOwner) => Uint8Array);
  readonly callback: (this: StreamOwner, bytes: number, buffer: Uint8Array) => boolean;
}

/** Largest chunk handed to a reader; 256 KiB was faster than 64 or 16. */
const MAX_CHUNK = 256 * 1024;
/** How long the end of the TCP connection may come after the loss of the peer, milliseconds: it is there at once. */
const GUARD_WAIT_MS = 1000;

export class RingStream implements ChannelSink, SenderOwner {
  // First what every message needs, see RingProducer.
  readonly channel: Channel;
  readonly sender: RingSender;
  readonly #socket: StreamOwner;
  readonly #onread: OnRead | undefined;
  /** Events happen in the asynchronous context the connection was made in, not in that of whoever polls. */
  readonly #scope: AsyncResource;
  #closed = false;
  /** Told of news while the zero-copy side reads instead of the stream. */
  reader: (() => void) | undefined;
  /** Told when room may have come. */
  writer: (() => void) | undefined;
  #wanted = false;
  /** The stream has had its first chunk from push(), which marks it as read. */
  #pushed = false;
  /** The peer will read nothing more. */
  #peerClosed = false;
  #reset = false;
  /** What is in the ring is all there will be: the TCP connection has ended, or we have given the peer up. */
  #final = false;
  /** Who reads by `onread`, or whose server pauses at once, has not come to the end before having asked for it. */
  #endWaits: boolean;
  #ended = false;
  #endsByReset = false;
  #verdict: NodeJS.Timeout | undefined;
  #notices: WriteNotices | undefined;
  readonly #memory = new ReceiveMemory();

  /** `paused`: the socket was made by a server with pauseOnConnect, and nothing is read until the program says so. */
  constructor(socket: StreamOwner, channel: Channel, onread: OnRead | undefined, scope: AsyncResource, paused = false) {
    this.#endWaits = onread !== undefined || paused;
    this.#scope = scope;
    this.#socket = socket;
    this.channel = channel;
    this.sender = new RingSender(this, channel);
    this.#onread = onread;
    channel.sink = this;
  }

  // ---- receiving

  /** By whatever read them: the stream, the zero-copy side, frames. */
  get bytesRead(): number {
    return this.channel.rx.total;
  }

  /** Bytes that found room, by whatever wrote them. */
  get bytesWritten(): number {
    return this.channel.tx.total;
  }

  /** The stream wants bytes. They are delivered from the loop, never within this call, as a native handle would. */
  read(): void {
    this.#wanted = true;
    this.#endWaits = this.#onread !== undefined;
    if (!this.#closed && this.reader === undefined && this.#more()) this.channel.again();
  }

  /** The stream wants no bytes for now. */
  stop(): void {
    this.#wanted = false;
  }

  onNews(): void {
    // 10 ns when nobody uses hooks
    this.#scope.runInAsyncScope(this.#onNews, this);
  }

  #onNews(): void {
    if (this.#closed) return;
    this.sender.onNews();
    if (this.sender.idle) this.writer?.();
    if (this.#closed) return;
    if (this.reader !== undefined) this.reader();
    else if (!this.#wanted) this.noteState();
    else if (this.#notices === undefined || this.#notices.clear) this.#deliverSome();
  }

  onPeerLost(broken: boolean): void {
    if (broken) this.#reset = this.#final = true;
    // The TCP connection of who is gone ends in the same moment. A peer that keeps it open has broken off.
    else if (!this.#final) this.#verdict ??= setTimeout(() => this.onPeerLost(true), GUARD_WAIT_MS).unref();
    this.#scope.runInAsyncScope(() => this.#onPeerClosed());
    this.onNews();
  }

  /**
   * The TCP connection ended, by RST (`reset`), by FIN (`ended`) or otherwise. Final inside a host: what is in the ring is all there will
   * be. Between hosts the transport finds out whether the peer is still there, and says so by {@link onPeerLost}.
   */
  onGuardClosed(reset: boolean, ended: boolean): void {
    if (this.#closed) return;
    const { suspect } = this.channel;
    if (suspect !== undefined && !this.#final) return suspect(ended);
    // Who has closed in order resets the TCP connection when nothing of it is needed any more: see endsByReset.
    if (reset && (this.channel.rx.state() & (CONN_STATE.closed | CONN_STATE.abnormal)) !== CONN_STATE.closed) this.#reset = true;
    this.#final = true;
    clearTimeout(this.#verdict);
    this.onPeerLost(false);
  }

  /** Looks at the peer's state; ends or resets the stream when everything has been read. */
  noteState(): void {
    if (this.#closed) return;
    const { rx } = this.channel;
    const state = rx.state();
    if ((state & CONN_STATE.abnormal) !== 0) this.#reset = true;
    if ((state & CONN_STATE.closed) !== 0) this.#onPeerClosed();
    if ((state & (CONN_STATE.sendingDone | CONN_STATE.closed)) === 0 && !this.#final) return;
    // pairs with the peer's publish before setState: after its state, its last bytes are visible
    if (rx.available() > 0 || rx.violated) return;
    if (this.#reset) this.#socket.destroy(systemError('ECONNRESET', 'read', this.channel.lost));
    else if (!this.#ended && (!this.#endWaits || this.#wanted || this.reader !== undefined)) {
      this.#ended = true;
      this.#socket.push(null);
      // With nothing buffered only a read makes the stream notice its end.
      if (this.reader !== undefined) this.#socket.resume();
      else this.#socket.read(0);
    }
  }

  /** Did the connection end by a reset? */
  get reset(): boolean {
    return this.#reset;
  }

  /**
   * Is the TCP connection to be ended by RST? Known after {@link close}. After a reset: a peer that does not know yet must not
   * take our end for the end of all there is. And when the peer has said in its ring that it is done: then it has read all
   * of the handshake, our state says how this ended, and a FIN would only keep the source port, which was bound, for a minute
   * in TIME_WAIT: less than 500 connections a second used up all 28,232. Never between hosts, where the peer hears of it by other
   * means and the last message of the handshake must not get lost.
   */
  get endsByReset(): boolean {
    return this.#endsByReset;
  }

  get ended(): boolean {
    return this.#ended;
  }

  #onPeerClosed(): void {
    if (this.#peerClosed) return;
    this.#peerClosed = true;
    if (!this.sender.idle) this.sender.finish(this.failure);
  }

  /** Is there anything a reader has not been told: bytes, an end, a violation? */
  #more(): boolean {
    const { rx } = this.channel;
    return rx.available() > 0 || rx.violated || this.#final || rx.state() !== 0;
  }

  /**
   * Delivers one chunk, or the end. What follows comes in a callback of its own: ticks and promises that the chunk caused
   * run before it, so that who awaits one 'data' event after the other misses none.
   */
  #deliverSome(): void {
    const { rx } = this.channel;
    const available = rx.available();
    if (rx.violated) return this.violation('producer cursor');
    if (available === 0) return this.noteState();
    this.#socket._unrefTimer();
    try {
      if (this.#onread === undefined) this.#deliver(available);
      else this.#deliverInto(this.#onread, available);
    } finally {
      // Also when a listener has thrown: who survives that must still get what is left.
      if (!this.#closed && this.#more()) this.channel.again();
    }
  }

  #deliver(available: number): void {
    const bytes = Math.min(available, MAX_CHUNK);
    const chunk = this.#memory.take(bytes);
    this.channel.rx.copy(chunk, 0, bytes);
    this.#release(bytes);
    const socket = this.#socket;
    if (this.#pushed && socket.readableFlowing === true && socket.readableLength === 0 && socket.readableEncoding === null) {
      // What push() would do for a flowing stream, less a tick that asks for more: it is asking already. That tick was a
      // sixth of a round trip. The stream's read stays unanswered until something is pushed, so it never asks twice.
      socket.emit('data', chunk);
      return;
    }
    this.#pushed = true;
    if (!socket.push(chunk)) this.#wanted = false;
  }

  #deliverInto(onread: OnRead, available: number): void {
    const socket = this.#socket;
    const buffer = typeof onread.buffer === 'function' ? onread.buffer.call(socket) : onread.buffer;
    const bytes = Math.min(available, buffer.length);
    this.channel.rx.copy(buffer, 0, bytes);
    this.#release(bytes);
    if (onread.callback.call(socket, bytes, buffer) === false) this.#wanted = false;
  }

  /** Gives the room of bytes that were read back before anybody is told, so that the peer can go on meanwhile. */
  #release(bytes: number): void {
    const { rx } = this.channel;
    rx.advance(bytes);
    if (rx.publish()) this.channel.notify();
  }

  // ---- ending

  violation(what: string): void {
    this.close(true);
    const found = this.channel.violation ?? what;
    this.#socket.destroy(new SmcError('ERR_SMC_PEER_VIOLATION', `the peer wrote an impossible ${found}; ${VIOLATION_HINT}`));
  }

  /** This side is done. With unread bytes, after a reset, or when `abnormal`, the peer sees a reset, as TCP would have it. */
  close(abnormal: boolean): void {
    if (this.#closed) return;
    const { rx, tx } = this.channel;
    // Who was reset has not ended: a peer that is alive must not see an end before the reset of the TCP connection comes.
    if (this.#reset || (!this.#peerClosed && rx.available() > 0)) abnormal = true;
    this.sender.close();
    this.#notices?.close();
    this.#closed = rx.closed = true;
    clearTimeout(this.#verdict);
    tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (abnormal ? CONN_STATE.abnormal : 0));
    const done = (rx.state() & (CONN_STATE.sendingDone | CONN_STATE.closed)) !== 0;
    this.#endsByReset = this.channel.suspect === undefined && (this.#reset || done);
    this.channel.notify();
    this.channel.close();
    this.reader?.();
    this.writer?.();
  }

  get failed(): boolean {
    return this.#peerClosed || this.#reset;
  }

  get failure(): Error | undefined {
    if (!this.failed) return undefined;
    return this.#reset ? systemError('ECONNRESET', 'write', this.channel.lost) : systemError('EPIPE', 'write');
  }

  get peerClosed(): boolean {
    return this.#peerClosed;
  }

  onWritten(): void {
    this.#socket._unrefTimer();
  }

  /** From now on somebody may be called back when a write has ended. */
  tellWrites(): void {
    this.#notices ??= new WriteNotices(this.channel);
  }

  onCalledBack(): void {
    this.#notices?.ended();
  }

  get closed(): boolean {
    return this.#closed;
  }
}
