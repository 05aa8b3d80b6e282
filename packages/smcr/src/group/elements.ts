// elements.ts - elements for connections: taken from RMBs the peer knows, or from a new one that is registered and told first.

import { apart } from './apart.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';
import { confirmRkey, deleteRkey } from './rkey-flows.js';
import { type Element, type Rkey, type Rmb, Rmbs } from './rmbs.js';

interface Wanted {
  readonly size: number;
  readonly done: (element: Element | undefined) => void;
}

export class ElementSupply {
  readonly rmbs = new Rmbs();
  /** Asked for or handed out, for connections that are not members yet. */
  promised = 0;

  readonly #group: LinkGroup;
  #wanted: Wanted[] = [];
  /** One at a time: whoever else waits may find a place in it. */
  #registering: Rmb | undefined;

  constructor(group: LinkGroup) {
    this.#group = group;
  }

  /**
   * An element of `size` bytes that may be named in CLC: told to the peer before if it needs to be. Undefined if that failed. It
   * becomes a connection's by `LinkGroup.add`, or has to be given back by {@link giveBack}.
   */
  take(size: number, now: number, done: (element: Element | undefined) => void): void {
    this.#group.now = now;
    this.promised++;
    this.#wanted.push({ size, done });
    this.serve();
  }

  /** The connection came to nothing. `clean`: the peer has not written and will not. */
  giveBack(element: Element, clean: boolean): void {
    this.promised--;
    this.free(element, clean);
  }

  /** Not in use any more. `clean`: the peer has said that it writes no more. */
  free({ rmb, index }: Element, clean: boolean): void {
    rmb.give(index, clean);
    if (this.#group.state !== 'active' || !rmb.worn) return this.serve();
    rmb.deleted = true;
    deleteRkey(this.#group, rmb, () => this.#release(rmb));
  }

  /** The answer to `port.registerRmb`. */
  registered(rmb: Rmb, rkeys: ReadonlyMap<Link, Rkey> | undefined): void {
    const group = this.#group;
    if (group.state === 'ended' || rmb !== this.#registering) return;
    if (rkeys === undefined) return this.#failed(rmb);
    for (const [link, rkey] of rkeys) rmb.rkeys.set(link, rkey);
    // On first contact CLC itself tells the peer.
    if (group.state === 'founding') return this.#told(rmb);
    confirmRkey(group, rmb, (done) => {
      if (done) return this.#told(rmb);
      if (group.state === 'ended') return;
      group.port.releaseRmb(rmb);
      this.#failed(rmb);
    });
  }

  serve(): void {
    const { links, port } = this.#group;
    while (this.#group.state !== 'ended') {
      const [first] = this.#wanted;
      if (first === undefined) return;
      const element = this.rmbs.take(first.size);
      if (element !== undefined) {
        this.#wanted.shift();
        apart(() => first.done(element));
        continue;
      }
      // Until the first link is there, there is nothing to register with.
      if (this.#registering !== undefined || links.every(({ own }) => own === undefined)) return;
      const rmb = this.rmbs.add(first.size);
      if (rmb === undefined) {
        this.#refuse(first.size);
        continue;
      }
      this.#registering = rmb;
      return port.registerRmb(rmb);
    }
  }

  /** The group is over. */
  end(): void {
    this.#registering = undefined;
    for (const rmb of [...this.rmbs.all]) this.#release(rmb);
    for (const { done } of this.#wanted.splice(0)) apart(() => done(undefined));
  }

  #told(rmb: Rmb): void {
    this.#registering = undefined;
    rmb.confirmed = true;
    this.serve();
  }

  #failed(rmb: Rmb): void {
    this.#registering = undefined;
    this.rmbs.remove(rmb);
    this.#refuse(rmb.elementSize);
    this.serve();
  }

  #release(rmb: Rmb): void {
    if (!this.rmbs.all.includes(rmb)) return;
    this.rmbs.remove(rmb);
    this.#group.port.releaseRmb(rmb);
  }

  #refuse(size: number): void {
    const refused = this.#wanted.filter((it) => it.size === size);
    this.#wanted = this.#wanted.filter((it) => it.size !== size);
    this.promised -= refused.length;
    for (const { done } of refused) apart(() => done(undefined));
  }
}
