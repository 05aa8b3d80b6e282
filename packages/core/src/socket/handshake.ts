// handshake.ts - what both halves of the rendezvous share: reading CLC off the TCP socket, one timer, one end.

import type net from 'node:net';
import { encode } from '../clc/index.js';
import { CLC_OS, type ClcMessage, type ClcPath, type ClcVersion } from '../clc/messages.js';
import type { ClcReader } from '../clc/reader.js';
import { SmcError, systemError } from '../errors.js';
import type { ResolvedOptions } from '../options.js';
import type { Decline } from '../transport/decline.js';
import type { Outcome } from './client-rendezvous.js';

export abstract class Handshake {
  protected readonly options: ResolvedOptions;
  protected over = false;
  readonly #inner: net.Socket;
  readonly #done: (outcome: Outcome) => void;
  #timer: NodeJS.Timeout | undefined;
  #unsent = 0;
  #sent: (() => void) | undefined;
  readonly #onData = (bytes: Buffer) => this.onBytes(bytes);
  readonly #onEnd = () => this.onEnd();
  readonly #onError = (error: Error) => this.onLost(error);
  readonly #onClose = () => this.onLost(systemError('ECONNRESET', 'read'));

  constructor(inner: net.Socket, options: ResolvedOptions, done: (outcome: Outcome) => void) {
    this.#inner = inner;
    this.options = options;
    this.#done = done;
  }

  protected abstract onBytes(bytes: Buffer): void;
  protected abstract onEnd(): void;
  /** The TCP connection is gone. */
  protected onLost(error: Error): void {
    this.fail(error);
  }
  /** The handshake is over without a ring: what was set aside for one is given back. */
  protected abstract onOver(): void;

  /** The user has destroyed the socket: nothing is reported any more. */
  abort(): void {
    if (this.over) return;
    this.#stop();
    this.onOver();
  }

  protected listen(): void {
    this.#inner.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
  }

  /** Reads no more for now: what the peer goes on sending waits in the kernel. */
  protected hold(): void {
    this.#inner.pause();
  }

  protected flow(): void {
    this.#inner.resume();
  }

  /** Replaces the running time-out. */
  protected within(milliseconds: number, expired: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(expired, milliseconds);
  }

  protected send(bytes: Uint8Array): void {
    this.#unsent++;
    this.#inner.write(bytes, () => {
      if (--this.#unsent === 0) this.#sent?.();
    });
  }

  protected sendDecline({ code }: Decline, path: ClcPath = 'smcd', version: ClcVersion = 2, outOfSync = false): void {
    const os = version === 1 ? CLC_OS.none : CLC_OS.linux;
    this.send(encode({ type: 'decline', path, version, peerId: new Uint8Array(8), diagnosis: code, outOfSync, os }));
  }

  /** The next message, or undefined when it is not whole or not one: then the handshake has failed. */
  protected read(reader: ClcReader): ClcMessage | undefined {
    try {
      return reader.next();
    } catch (error) {
      this.violation((error as Error).message);
      return undefined;
    }
  }

  /** The peer broke the rules after both had agreed to speak CLC: nobody can tell payload from messages any more. */
  protected violation(what: string): void {
    this.fail(new SmcError('ERR_SMC_PEER_VIOLATION', `the handshake failed: ${what}`));
  }

  protected fail(error: Error): void {
    if (this.over) return;
    this.#stop();
    this.onOver();
    this.#done({ kind: 'error', error });
  }

  /** Ends the handshake. TCP's native handle can only be moved when everything written has left the stream. */
  protected finish(outcome: Outcome): void {
    if (this.over) return;
    this.#stop();
    if (outcome.kind !== 'tcp') return this.#done(outcome);
    this.onOver();
    const done = () => this.#done({ ...outcome, rest: this.#withUnread(outcome.rest) });
    if (this.#unsent === 0) done();
    else this.#sent = done;
  }

  /** What the paused socket has read since goes with its handle, behind what we have. */
  #withUnread(rest: Buffer): Buffer {
    const unread = this.#inner.readableLength > 0 ? (this.#inner.read() as Buffer | null) : null;
    return unread === null ? rest : Buffer.concat([rest, unread]);
  }

  #stop(): void {
    this.over = true;
    clearTimeout(this.#timer);
    this.#inner.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose);
    this.#inner.pause();
  }
}
