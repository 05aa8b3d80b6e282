// rtokens.ts - the peer's RMBs as we were told of them: rkey and address of each, per link (an "rtoken").
//
// What a peer says here is what it lets us write, nothing more: a wrong rkey fails at its own adapter and costs it the link.

import type { Link } from './link.js';
import type { Rkey } from './rmbs.js';

/** As many as Linux keeps; a peer that tells more is refused. */
export const MAX_RTOKENS = 255;

/** One RMB of the peer: rkey and address by link. */
export type Rtoken = Map<Link, Rkey>;

export class Rtokens {
  readonly #all = new Set<Rtoken>();

  get size(): number {
    return this.#all.size;
  }

  /** The RMB with this rkey on this link, told before or new. Undefined when there are too many. */
  add(link: Link, rkey: number, address: bigint): Rtoken | undefined {
    const known = this.find(link, rkey);
    if (known !== undefined && known.get(link)?.address === address) return known;
    // The peer gave this rkey to other memory: what it stood for is gone.
    if (known !== undefined) this.#all.delete(known);
    if (this.#all.size === MAX_RTOKENS) return undefined;
    const token: Rtoken = new Map([[link, { rkey, address }]]);
    this.#all.add(token);
    return token;
  }

  find(link: Link, rkey: number): Rtoken | undefined {
    for (const token of this.#all) if (token.get(link)?.rkey === rkey) return token;
    return undefined;
  }

  /** The RMB known by `rkey` on `link` is known on another link, too. False when there is none. */
  extend(link: Link, rkey: number, other: Link, known: Rkey): boolean {
    const token = this.find(link, rkey);
    token?.set(other, known);
    return token !== undefined;
  }

  /** The peer took it back. False when there is none. */
  delete(link: Link, rkey: number): boolean {
    const token = this.find(link, rkey);
    return token !== undefined && this.#all.delete(token);
  }

  forgetLink(link: Link): void {
    for (const token of this.#all) token.delete(link);
  }
}
