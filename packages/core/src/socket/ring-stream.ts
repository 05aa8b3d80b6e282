// ring-stream.ts - the stream side of a ring connection: what `write`, 'data', end and destroy of the socket mean there.
//
// Received bytes are copied into private memory before anybody sees them: the peer can change the ring at any time.
// A write is copied once, into the peer's ring. Nothing is allocated per write; per read there is the chunk handed out.

import { AsyncResource } from 'node:async_hooks';
import { SmcError, systemError } from '../errors.js';
import { CONN_STATE, COPY_IN_BYTES } from '../ring/layout.js';
import { stage } from '../ring/stage.js';
import type { Channel, ChannelSink } from '../transport/channel.js';
import { ReceiveMemory } from './receive-memory.js';

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

export interface OnRead {
  readonly buffer: Uint8Array | (() => Uint8Array);
  readonly callback: (bytes: number, buffer: Uint8Array) => boolean;
}

type Done = (error?: Error | null) => void;
export interface WriteRequest {
  readonly chunk: Buffer | string;
  readonly encoding: BufferEncoding;
}

/** Largest chunk handed to a reader; 256 KiB was faster than 64 or 16. */
const MAX_CHUNK = 256 * 1024;
/** Bytes one dispatch may deliver before other connections have their turn. */
const DISPATCH_BYTES = 1024 * 1024;
/** Writes of one turn that are published one by one; a program that writes and then computes has its bytes sent. */
const EAGER_WRITES = 8;
/** Then so many bytes at a time, and the rest when the turn's JavaScript ends: moving cache lines costs most. */
const BATCH_BYTES = 16 * 1024;
/** A large write is published piece by piece, so that the peer reads while we copy. */
export const PIECE_BYTES = 64 * 1024;

/** Streams with written but unpublished bytes; a process that exits publishes them, as the kernel would have sent them. */
const unflushed = new Set<RingStream>();
let exitHook = false;

export class RingStream implements ChannelSink {
  bytesRead = 0;
  bytesWritten = 0;
  /** Told of news while the zero-copy side reads instead of the stream. */
  reader: (() => void) | undefined;
  /** Told when room may have come. */
  writer: (() => void) | undefined;

  readonly channel: Channel;
  readonly #socket: StreamOwner;
  readonly #onread: OnRead | undefined;
  /** Events happen in the asynchronous context the connection was made in, not in that of whoever polls. */
  readonly #scope: AsyncResource;
  /** Context of the write that waits for room. */
  #writeScope: AsyncResource | undefined;
  #wanted = false;
  /** Has the stream's last call of {@link read} returned? */
  #answered = true;
  /** The stream has had its first chunk from push(), which marks it as read. */
  #pushed = false;
  #draining = false;
  #ended = false;
  /** The peer will read nothing more. */
  #peerClosed = false;
  #reset = false;
  #peerLost = false;
  #closed = false;
  #turn = -1;
  #eager = EAGER_WRITES;
  #scheduled = false;
  #pending: WriteRequest[] = [];
  #pendingAt = 0;
  #current: Uint8Array | undefined;
  #written = 0;
  #done: Done | undefined;
  #blocked = false;
  readonly #memory = new ReceiveMemory();
  readonly #flush = () => {
    this.#scheduled = false;
    unflushed.delete(this);
    this.publish();
  };

  constructor(socket: StreamOwner, channel: Channel, onread: OnRead | undefined, scope: AsyncResource) {
    this.#scope = scope;
    this.#socket = socket;
    this.channel = channel;
    this.#onread = onread;
    channel.sink = this;
    if (!exitHook) {
      exitHook = true;
      process.on('exit', () => {
        for (const stream of unflushed) stream.publish();
      });
    }
  }

  // ---- sending

  /** Writes one chunk; `done` when it is in the ring. */
  write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    if (!this.#writable(done)) return;
    const bytes = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    if (bytes > PIECE_BYTES || !this.#put(chunk, encoding, bytes)) return this.writev([{ chunk, encoding }], done);
    this.#wrote(bytes);
    this.#publishSoon();
    done();
  }

  /** Writes chunks in order, publishing once if they fit. `done` when all are in the ring. */
  writev(chunks: WriteRequest[], done: Done): void {
    if (!this.#writable(done)) return;
    this.#pending = chunks;
    this.#pendingAt = 0;
    this.#done = done;
    this.#resumeWrite();
  }

  /** Half close: no more bytes follow those written. */
  final(done: Done): void {
    if (!this.#peerClosed && !this.#closed) {
      this.publish();
      this.channel.tx.setState(CONN_STATE.sendingDone);
      this.channel.notify();
    }
    done();
  }

  /** Makes written bytes visible now. */
  publish(): void {
    const { tx } = this.channel;
    if (this.#closed || tx.unpublished === 0) return;
    tx.publish();
    this.channel.notify();
  }

  /** Bytes accepted by the socket that are not in the ring yet: those in progress and `buffered`. */
  pendingBytes(buffered: readonly WriteRequest[]): number {
    const size = ({ chunk, encoding }: WriteRequest) => (typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length);
    const total = (requests: readonly WriteRequest[]) => requests.reduce((sum, request) => sum + size(request), 0);
    const current = this.#current === undefined ? 0 : this.#current.length - this.#written;
    return current + total(this.#pending.slice(this.#pendingAt)) + total(buffered);
  }

  /**
   * Asks the peer to tell us of room, then looks again: true when there are `bytes` after all. The question stands until
   * the next news; who still waits then asks again.
   */
  askForRoom(bytes: number): boolean {
    const { tx } = this.channel;
    this.#blocked = true;
    tx.setWriteBlocked(true);
    return tx.space(bytes) >= bytes;
  }

  get idle(): boolean {
    return this.#done === undefined;
  }

  get peerClosed(): boolean {
    return this.#peerClosed;
  }

  #writable(done: Done): boolean {
    if (!this.#peerClosed && !this.#reset) return true;
    done(systemError(this.#reset ? 'ECONNRESET' : 'EPIPE', 'write'));
    return false;
  }

  #wrote(bytes: number): void {
    this.bytesWritten += bytes;
    this.#socket._unrefTimer();
  }

  /** Writes one chunk if there is room for all of it. */
  #put(chunk: Buffer | string, encoding: BufferEncoding, bytes: number): boolean {
    const { tx } = this.channel;
    if (bytes < COPY_IN_BYTES && this.#eagerWrites() === 0) {
      const at = tx.collect(bytes);
      if (at < 0) return false;
      if (typeof chunk === 'string') stage.bytes.write(chunk, at, bytes, encoding);
      else stage.bytes.set(chunk, at);
    } else if (typeof chunk === 'string') {
      const at = tx.claim(bytes);
      if (at < 0) return false;
      tx.data.write(chunk, at, bytes, encoding);
      tx.advance(bytes);
    } else {
      if (tx.space(bytes) < bytes) return false;
      tx.write(chunk);
    }
    return true;
  }

  /** How many more writes of this turn are published one by one. */
  #eagerWrites(): number {
    const { turn } = this.channel;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#eager = EAGER_WRITES;
    }
    return this.#eager;
  }

  #publishSoon(): void {
    const { tx } = this.channel;
    if (this.#eagerWrites() > 0) {
      this.#eager--;
      this.publish();
    } else if (tx.unpublished >= BATCH_BYTES) {
      this.publish();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      unflushed.add(this);
      process.nextTick(this.#flush);
    }
  }

  /** Goes on with the pending chunks until they are written or the ring is full. */
  #resumeWrite(): void {
    const { tx } = this.channel;
    for (;;) {
      const chunk = this.#current ?? this.#next();
      if (chunk === undefined) break;
      const bytes = tx.write(chunk, this.#written, Math.min(this.#written + PIECE_BYTES, chunk.length));
      this.#written += bytes;
      if (bytes > 0) this.#wrote(bytes);
      if (tx.unpublished >= PIECE_BYTES) this.publish();
      if (this.#written === chunk.length) this.#current = undefined;
      else if (bytes === 0 && !this.#roomAfterAll()) return;
    }
    this.#publishSoon();
    this.#pending = [];
    this.#finishWrite();
  }

  /** Calls back the write in progress, in its own context if it had to wait. */
  #finishWrite(error?: Error): void {
    const done = this.#done;
    const scope = this.#writeScope;
    this.#done = this.#writeScope = undefined;
    if (scope === undefined) done?.(error);
    else if (done !== undefined) scope.runInAsyncScope(done, null, error);
  }

  #next(): Uint8Array | undefined {
    const request = this.#pending[this.#pendingAt];
    if (request === undefined) return undefined;
    this.#pendingAt++;
    this.#written = 0;
    this.#current = typeof request.chunk === 'string' ? Buffer.from(request.chunk, request.encoding) : request.chunk;
    return this.#current;
  }

  /** The ring is full: says so and looks again, since the peer may have read in between. */
  #roomAfterAll(): boolean {
    const { tx } = this.channel;
    this.publish();
    if (tx.violated) {
      this.violation('consumer cursor');
      return false;
    }
    this.#writeScope ??= new AsyncResource('SMCWRITE');
    return this.askForRoom(1);
  }

  // ---- receiving

  /** The stream wants bytes. Within its call they are pushed, never emitted. */
  read(): void {
    this.#wanted = true;
    this.#answered = false;
    if (!this.#draining && this.reader === undefined) this.#drain();
    this.#answered = true;
  }

  /** As {@link read}, but bytes are delivered from the loop, as a native handle would. */
  readLater(): void {
    this.#wanted = true;
    if (!this.#closed) this.channel.again();
  }

  /** The stream wants no bytes for now. */
  stop(): void {
    this.#wanted = false;
  }

  onNews(): void {
    // 10 ns when nobody uses hooks
    this.#scope.runInAsyncScope(this.#onNews);
  }

  readonly #onNews = (): void => {
    if (this.#closed) return;
    if (this.#blocked) {
      this.#blocked = false;
      this.channel.tx.setWriteBlocked(false);
    }
    if (this.#done !== undefined) this.#resumeWrite();
    if (this.#done === undefined) this.writer?.();
    if (this.#closed) return;
    if (this.reader !== undefined) this.reader();
    else if (this.#wanted && !this.#draining) this.#drain();
    else this.noteState();
  };

  onPeerLost(): void {
    this.#peerLost = true;
    this.#scope.runInAsyncScope(() => this.#onPeerClosed());
    this.onNews();
  }

  /** The TCP connection ended (`reset`: by RST). Final inside a host: what is in the ring is all there will be. */
  onGuardClosed(reset: boolean): void {
    if (this.#closed) return;
    if (reset) this.#reset = true;
    this.onPeerLost();
  }

  /** Looks at the peer's state; ends or resets the stream when everything has been read. */
  noteState(): void {
    if (this.#closed) return;
    const { rx } = this.channel;
    const state = rx.state();
    if ((state & CONN_STATE.abnormal) !== 0) this.#reset = true;
    if ((state & CONN_STATE.closed) !== 0) this.#onPeerClosed();
    if ((state & (CONN_STATE.sendingDone | CONN_STATE.closed)) === 0 && !this.#peerLost) return;
    // pairs with the peer's publish before setState: after its state, its last bytes are visible
    if (rx.available() > 0 || rx.violated) return;
    if (this.#reset) this.#socket.destroy(systemError('ECONNRESET', 'read'));
    else if (!this.#ended) {
      this.#ended = true;
      this.#socket.push(null);
      // With nothing buffered only a read makes the stream notice its end.
      if (this.reader !== undefined) this.#socket.resume();
      else this.#socket.read(0);
    }
  }

  get ended(): boolean {
    return this.#ended;
  }

  #onPeerClosed(): void {
    if (this.#peerClosed) return;
    this.#peerClosed = true;
    this.#finishWrite(systemError(this.#reset ? 'ECONNRESET' : 'EPIPE', 'write'));
  }

  #drain(): void {
    const { rx } = this.channel;
    const socket = this.#socket;
    let budget = DISPATCH_BYTES;
    this.#draining = true;
    try {
      while (this.#wanted && this.reader === undefined) {
        const available = rx.available();
        if (available === 0) break;
        if (budget <= 0) {
          this.channel.again();
          break;
        }
        socket._unrefTimer();
        budget -= this.#onread === undefined ? this.#deliver(available) : this.#deliverInto(this.#onread, available);
        if (this.#closed) return;
      }
    } catch (error) {
      // Thrown by a listener. Who survives that must still get what is left.
      if (!this.#closed) this.channel.again();
      throw error;
    } finally {
      this.#draining = false;
    }
    if (rx.violated) this.violation('producer cursor');
    else this.noteState();
  }

  #deliver(available: number): number {
    const bytes = Math.min(available, MAX_CHUNK);
    const chunk = this.#memory.take(bytes);
    this.channel.rx.copy(chunk, 0, bytes);
    this.#release(bytes);
    const socket = this.#socket;
    if (
      this.#pushed &&
      this.#answered &&
      socket.readableFlowing === true &&
      socket.readableLength === 0 &&
      socket.readableEncoding === null
    ) {
      // What push() would do for a flowing stream, less a tick that asks for more: it is asking already. That tick was a
      // sixth of a round trip. The stream's read stays unanswered until something is pushed, so it never asks twice.
      socket.emit('data', chunk);
      return bytes;
    }
    this.#pushed = true;
    if (!socket.push(chunk)) this.#wanted = false;
    return bytes;
  }

  #deliverInto(onread: OnRead, available: number): number {
    const buffer = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
    const bytes = Math.min(available, buffer.length);
    this.channel.rx.copy(buffer, 0, bytes);
    this.#release(bytes);
    if (onread.callback(bytes, buffer) === false) this.#wanted = false;
    return bytes;
  }

  /** Counts bytes as read and gives their room back before anybody is told, so that the peer can go on meanwhile. */
  #release(bytes: number): void {
    this.bytesRead += bytes;
    const { rx } = this.channel;
    rx.advance(bytes);
    if (rx.publish()) this.channel.notify();
  }

  // ---- ending

  violation(what: string): void {
    this.close(true);
    this.#socket.destroy(new SmcError('ERR_SMC_PEER_VIOLATION', `the peer wrote an impossible ${what}`));
  }

  /** This side is done. With unread bytes, or when `abnormal`, the peer sees a reset, as TCP would have it. */
  close(abnormal: boolean): void {
    if (this.#closed) return;
    const { rx, tx } = this.channel;
    if (!abnormal && !this.#peerClosed && rx.available() > 0) abnormal = true;
    this.publish();
    this.#closed = rx.closed = true;
    unflushed.delete(this);
    tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (abnormal ? CONN_STATE.abnormal : 0));
    this.channel.notify();
    this.channel.close();
    this.#pending = [];
    this.#current = undefined;
    if (this.#done !== undefined) process.nextTick(() => this.#finishWrite(systemError('ECANCELED', 'write')));
    this.reader?.();
    this.writer?.();
  }

  get closed(): boolean {
    return this.#closed;
  }
}
