// linux-receiver.ts - the receiving end of a connection as Linux has it since 5.18, of which nobody sends: when it tells what was read,
// and that after a failure it tells nothing again but that it has moved.

import { CDC_FLAG, type CdcMessage, emptyCdc, readCdc } from '../src/cdc/index.js';
import type { End } from './connection-pair.js';

export class LinuxReceiver {
  /** Bytes from the start: written by the peer, read here, told to the peer. */
  produced = 0;
  consumed = 0;
  told = 0;
  /** Posted and not arrived. */
  readonly flying: CdcMessage[] = [];
  readonly #size: number;
  readonly #memory: Buffer;
  readonly #peer: End;
  #flags = 0;
  #sequence = 0;
  #arrived = 0;

  /** Of `peer`'s bytes; the size is that of the peer's RMBE. */
  constructor(peer: End, size: number) {
    this.#peer = peer;
    this.#size = size;
    this.#memory = Buffer.alloc(size);
  }

  /** The peer's oldest transmission arrives. */
  receive(): void {
    const posted = this.#peer.flying.shift();
    if (posted === undefined) return;
    for (const { to, bytes } of posted.writes) bytes.copy(this.#memory, to);
    this.#peer.unacknowledged++;
    const message = emptyCdc();
    readCdc(posted.cdc, 0, posted.cdc.length, message);
    if ((message.flags & CDC_FLAG.failoverValidation) !== 0) {
      if (message.sequence > this.#arrived) throw new Error('bytes are missing');
      return;
    }
    this.#arrived = message.sequence;
    this.produced = message.producerWrap * this.#size + message.producerOffset;
    if (this.produced - this.consumed > this.#size) throw new Error('bytes that were not read are gone');
    this.#flags = message.flags;
  }

  read(limit = this.#size): Buffer {
    const length = Math.min(limit, this.produced - this.consumed);
    const bytes = Buffer.from(Array.from({ length }, (_, i) => this.#memory[(this.consumed + i) % this.#size] as number));
    if (length === 0) return bytes;
    this.consumed += length;
    const untold = this.consumed - this.told;
    const known = this.#size - (this.produced - this.told);
    const blocked = (this.#flags & CDC_FLAG.writeBlocked) !== 0;
    const worth = untold > Math.max(Math.floor(this.#size / 10), 2304) && (known <= this.#size / 2 || blocked);
    if ((this.#flags & CDC_FLAG.cursorUpdateRequested) !== 0 || worth) this.#tell();
    if (this.consumed === this.produced) this.#flags &= ~CDC_FLAG.writeBlocked;
    return bytes;
  }

  /** Its oldest message arrives. */
  arrive(): void {
    const message = this.flying.shift();
    if (message === undefined) return;
    if ((message.flags & CDC_FLAG.failoverValidation) === 0) this.#peer.connection.send.heard();
    this.#peer.connection.receive(message);
  }

  failover(): void {
    this.flying.length = 0;
    this.flying.push({ ...emptyCdc(), token: this.#peer.connection.token, flags: CDC_FLAG.failoverValidation });
  }

  #tell(): void {
    this.told = this.consumed;
    this.#flags &= ~CDC_FLAG.cursorUpdateRequested;
    const consumerWrap = Math.floor(this.consumed / this.#size);
    const consumerOffset = this.consumed % this.#size;
    this.flying.push({
      ...emptyCdc(),
      token: this.#peer.connection.token,
      sequence: ++this.#sequence,
      consumerWrap,
      consumerOffset,
    });
  }
}
