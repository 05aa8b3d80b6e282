// stream.ts - one end of an SMC-R connection of ours, as a test uses it: promises over the two rings.

import type { Socket } from 'node:net';
import { CONN_STATE, type RingConsumer, type RingProducer } from '@smcjs/core/backend';
import { connection, type GroupDriver, type Member } from './library.js';
import { pattern, PatternCheck } from './pattern.js';

const { NEWS } = connection;
const CHUNK = 1 << 18;

export class Stream {
  readonly member: Member;
  readonly driver: GroupDriver;
  readonly tcp: Socket;
  readonly #tx: RingProducer;
  readonly #rx: RingConsumer;
  /** All NEWS bits there ever were. */
  seen = 0;
  bytesRead = 0;
  /** Both sides have closed, and it is gone from its group. */
  readonly removed: Promise<void>;
  #established = false;
  #state = 0;
  #remove!: () => void;
  readonly #waiting = new Set<() => void>();

  constructor(driver: GroupDriver, member: Member, tx: RingProducer, rx: RingConsumer, tcp: Socket) {
    this.driver = driver;
    this.member = member;
    this.#tx = tx;
    this.#rx = rx;
    this.tcp = tcp;
    this.removed = new Promise((resolve) => (this.#remove = resolve));
  }

  /** Names of its state are those of smcss(8). */
  get state(): string {
    return this.member.connection.closing.state;
  }

  get reset(): boolean {
    return (this.#rx.state() & CONN_STATE.abnormal) !== 0;
  }

  /** Nothing is declined any more: the TCP connection is only watched from now on. Its end makes the peer suspect. */
  establish(): void {
    this.#established = true;
    const ended = (): void => {
      if (this.driver.group.members.get(this.member.connection.token) === this.member) this.driver.suspect(this.member);
    };
    this.tcp.once('end', ended).once('close', ended).resume();
  }

  onNews(bits: number): void {
    this.seen |= bits;
    for (const wake of [...this.#waiting]) wake();
  }

  onRemoved(): void {
    this.#remove();
    if (this.#established) this.tcp.end();
    this.onNews(0);
  }

  /** Resolves when all of it is in the send buffer. @throws Error `ECONNRESET` */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.reset) throw resetError();
      const count = this.#tx.write(bytes, at);
      if (count === 0) await this.#news();
      else {
        this.#tx.publish();
        this.driver.transmit(this.member);
        at += count;
      }
    }
  }

  /** What there is, at least a byte; undefined at the end. @throws Error `ECONNRESET` */
  async read(most = CHUNK): Promise<Buffer | undefined> {
    for (;;) {
      const state = this.#rx.state();
      const length = Math.min(most, this.#rx.available());
      if (length > 0) {
        const bytes = Buffer.allocUnsafe(length);
        this.#rx.copy(bytes, 0, length);
        this.#rx.advance(length);
        this.#rx.publish();
        this.bytesRead += length;
        this.driver.transmit(this.member);
        return bytes;
      }
      if ((state & CONN_STATE.abnormal) !== 0) throw resetError();
      if (state !== 0) return undefined;
      await this.#news();
    }
  }

  /** Bytes to read now. */
  get available(): number {
    return this.#rx.available();
  }

  /** Waits until it is so, looking at each news. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#news();
  }

  /** Half close. */
  shutdown(): void {
    this.#set(CONN_STATE.sendingDone);
  }

  /** As close(2): abnormal with unread bytes. */
  close(): void {
    const unread = this.#rx.available() > 0;
    this.#set(CONN_STATE.sendingDone | CONN_STATE.closed | (unread || this.reset ? CONN_STATE.abnormal : 0));
  }

  #set(bits: number): void {
    this.#state |= bits;
    this.#tx.setState(this.#state);
    this.driver.transmit(this.member);
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  // What kernel/smc_agent.py does, too.

  async send(bytes: number, seed = 0, start = 0): Promise<void> {
    for (let at = start; at < start + bytes; at += CHUNK) await this.write(pattern(seed, at, Math.min(CHUNK, start + bytes - at)));
  }

  /** @throws Error for a wrong byte, or an early end. */
  async receive(bytes: number, seed = 0, start = 0): Promise<void> {
    const check = new PatternCheck(seed, start);
    while (check.received < start + bytes) {
      const chunk = await this.read(start + bytes - check.received);
      if (chunk === undefined) throw new Error(`the end came after ${check.received} bytes`);
      check.take(chunk);
    }
  }

  async exchange(bytes: number, seed: number, theirs: number): Promise<void> {
    await Promise.all([this.send(bytes, seed), this.receive(bytes, theirs)]);
  }

  async echo(): Promise<void> {
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) await this.write(chunk);
  }

  async rounds(sizes: readonly number[], count: number): Promise<void> {
    for (const size of sizes) {
      for (let i = 0; i < count; i++) {
        await this.write(pattern(i % 256, 0, size));
        await this.receive(size, i % 256);
      }
    }
  }
}

export function resetError(): Error {
  return Object.assign(new Error('the connection was reset'), { code: 'ECONNRESET' });
}

export { NEWS };
