// stream.ts - our end of an SMC-R connection that became one although it was tampered with: whether it is reset.

import type { Socket } from 'node:net';
import { CONN_STATE, type RingConsumer } from '@smcjs/core/backend';
import type { GroupDriver, Member } from './library.js';

export class Stream {
  readonly #driver: GroupDriver;
  readonly #member: Member;
  readonly #rx: RingConsumer;
  readonly #tcp: Socket;
  #established = false;
  #wake: () => void = () => {};

  constructor(driver: GroupDriver, member: Member, rx: RingConsumer, tcp: Socket) {
    this.#driver = driver;
    this.#member = member;
    this.#rx = rx;
    this.#tcp = tcp;
  }

  /** Nothing is declined any more: the TCP connection is only watched from now on. Its end makes the peer suspect. */
  establish(): void {
    this.#established = true;
    const ended = (): void => {
      const there = this.#driver.group.members.get(this.#member.connection.token) === this.#member;
      if (there) this.#driver.suspect(this.#member, this.#tcp.readableEnded);
    };
    this.#tcp.once('end', ended).once('close', ended).resume();
  }

  onNews(): void {
    this.#wake();
  }

  onRemoved(): void {
    if (this.#established) this.#tcp.end();
    this.#wake();
  }

  /** Resolves when the connection has been reset; rejects when it ended in order. Bytes are no news. */
  async reset(): Promise<void> {
    for (;;) {
      const state = this.#rx.state();
      if ((state & CONN_STATE.abnormal) !== 0) return;
      if (state !== 0) throw new Error('it ended in order');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
