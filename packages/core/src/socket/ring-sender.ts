// ring-sender.ts - the sending half of a ring connection's stream: what `write`, cork and 'drain' of the socket mean there.
//
// A write is copied once into the peer's ring, or twice when it is small and one of many. Nothing is allocated per write.

import { AsyncResource } from 'node:async_hooks';
import { systemError } from '../errors.js';
import { CONN_STATE, COPY_IN_BYTES } from '../ring/layout.js';
import { stage } from '../ring/stage.js';
import type { Channel } from '../transport/channel.js';

export type Done = (error?: Error | null) => void;
export interface WriteRequest {
  readonly chunk: Buffer | string;
  readonly encoding: BufferEncoding;
}

/** The connection, as its sending half needs it. */
export interface SenderOwner {
  /** Can nothing be written any more? And why: an error is made at each look. */
  readonly failed: boolean;
  readonly failure: Error | undefined;
  /** Bytes got into the ring. */
  onWritten(): void;
  /** A write was called back. */
  onCalledBack(): void;
  violation(what: string): void;
}

/** Writes of one turn that are published one by one; a program that writes and then computes has its bytes sent. */
const EAGER_WRITES = 8;
/** Then so many bytes at a time, and the rest when the turn's JavaScript ends: moving cache lines costs most. */
const BATCH_BYTES = 32 * 1024;
/** A large write is published piece by piece, so that the peer reads while we copy. */
export const PIECE_BYTES = 64 * 1024;

/** Senders with written but unpublished bytes; a process that exits publishes them, as the kernel would have sent them. */
const unflushed = new Set<RingSender>();
let exitHook = false;

export class RingSender {
  // First what every message needs, see RingProducer.
  readonly #channel: Channel;
  readonly #owner: SenderOwner;
  #closed = false;
  #done: Done | undefined;
  #blocked = false;
  #turn = -1;
  #eager = EAGER_WRITES;
  #scheduled = false;
  #pending: WriteRequest[] = [];
  #pendingAt = 0;
  #current: Uint8Array | undefined;
  #written = 0;
  /** Context of the write that waits for room. */
  #scope: AsyncResource | undefined;
  readonly #flush = () => {
    this.#scheduled = false;
    unflushed.delete(this);
    this.publish();
  };

  constructor(owner: SenderOwner, channel: Channel) {
    this.#owner = owner;
    this.#channel = channel;
    if (!exitHook) {
      exitHook = true;
      process.on('exit', () => {
        for (const sender of unflushed) sender.publish();
      });
    }
  }

  /** Writes one chunk; `done` when it is in the ring. */
  write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    if (!this.#writable(done)) return;
    if (this.#writeAtOnce(chunk, encoding, PIECE_BYTES)) {
      done();
      this.#owner.onCalledBack();
    } else this.writev([{ chunk, encoding }], done);
  }

  /** Writes a chunk of fewer than `below` bytes if nothing stands in its way; false when it has to take the usual one. */
  tryWrite(chunk: Uint8Array | string, encoding: BufferEncoding, below: number): boolean {
    if (this.#done !== undefined || this.#closed || this.#owner.failed) return false;
    return this.#writeAtOnce(chunk, encoding, Math.min(below - 1, PIECE_BYTES));
  }

  /** Writes one chunk of at most `most` bytes if there is room for all of it. */
  #writeAtOnce(chunk: Uint8Array | string, encoding: BufferEncoding, most: number): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    if (bytes > most || !this.#put(chunk, encoding, bytes)) return false;
    this.#owner.onWritten();
    this.#publishSoon();
    return true;
  }

  /** Writes chunks in order, publishing once if they fit. `done` when all are in the ring. */
  writev(chunks: WriteRequest[], done: Done): void {
    if (!this.#writable(done)) return;
    this.#pending = chunks;
    this.#pendingAt = 0;
    this.#done = done;
    this.#resumeWrite();
  }

  /**
   * Half close: no more bytes follow those written. As over a native handle, who destroys within this turn or its next tick has not
   * finished; before any news of the peer it is done.
   */
  final(done: Done): void {
    if (!this.#owner.failed && !this.#closed) {
      this.publish();
      this.#channel.tx.setState(CONN_STATE.sendingDone);
      this.#channel.notify();
    }
    process.nextTick(() => process.nextTick(done));
  }

  /** Makes written bytes visible now. */
  publish(): void {
    const { tx } = this.#channel;
    if (this.#closed || tx.unpublished === 0) return;
    tx.publish();
    this.#channel.notify(true);
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
    const { tx } = this.#channel;
    this.#blocked = true;
    tx.setWriteBlocked(true);
    return tx.space(bytes) >= bytes;
  }

  get idle(): boolean {
    return this.#done === undefined;
  }

  #writable(done: Done): boolean {
    if (!this.#owner.failed) return true;
    done(this.#owner.failure);
    return false;
  }

  /** Puts one chunk into the ring if there is room for all of it. */
  #put(chunk: Uint8Array | string, encoding: BufferEncoding, bytes: number): boolean {
    const { tx } = this.#channel;
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
    const { turn } = this.#channel;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#eager = EAGER_WRITES;
    }
    return this.#eager;
  }

  #publishSoon(): void {
    const { tx } = this.#channel;
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
    const { tx } = this.#channel;
    const several = this.#pending.length > EAGER_WRITES;
    for (;;) {
      const chunk = this.#current ?? this.#next();
      if (chunk === undefined) break;
      const bytes = several && chunk.length < COPY_IN_BYTES ? this.#collect(chunk) : this.#piece(chunk);
      this.#written += bytes;
      if (bytes > 0) this.#owner.onWritten();
      if (tx.unpublished >= PIECE_BYTES) this.publish();
      if (this.#written === chunk.length) this.#current = undefined;
      else if (bytes === 0 && !this.#roomAfterAll()) return;
    }
    this.#publishSoon();
    this.#pending = [];
    this.finish();
  }

  /** Calls back the write in progress, in its own context if it had to wait. */
  finish(error?: Error): void {
    const done = this.#done;
    const scope = this.#scope;
    this.#done = this.#scope = undefined;
    if (done === undefined) return;
    if (scope === undefined) done(error);
    else scope.runInAsyncScope(done, null, error);
    this.#owner.onCalledBack();
  }

  /** Writes the next piece of the current chunk; returns how many bytes there was room for. */
  #piece(chunk: Uint8Array): number {
    return this.#channel.tx.write(chunk, this.#written, Math.min(this.#written + PIECE_BYTES, chunk.length));
  }

  /** A small chunk of several: all of it, or as much as there is room for. */
  #collect(chunk: Uint8Array): number {
    const at = this.#written > 0 ? -1 : this.#channel.tx.collect(chunk.length);
    if (at < 0) return this.#piece(chunk);
    stage.bytes.set(chunk, at);
    return chunk.length;
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
    const { tx } = this.#channel;
    this.publish();
    if (tx.violated) {
      this.#owner.violation('consumer cursor');
      return false;
    }
    this.#scope ??= new AsyncResource('SMCWRITE');
    return this.askForRoom(1);
  }

  /** News of the peer: goes on with the write that waits for room. */
  onNews(): void {
    if (this.#blocked) {
      this.#blocked = false;
      this.#channel.tx.setWriteBlocked(false);
    }
    if (this.#done !== undefined) this.#resumeWrite();
  }

  /** Publishes what was written. No more will be; the write in progress, if there is one, ends in a later tick. */
  close(): void {
    this.publish();
    this.#closed = true;
    unflushed.delete(this);
    this.#pending = [];
    this.#current = undefined;
    if (this.#done !== undefined) process.nextTick(() => this.finish(systemError('ECANCELED', 'write')));
  }
}
