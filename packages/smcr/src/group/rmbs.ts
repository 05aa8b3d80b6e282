// rmbs.ts - our RMBs: which elements are free, and by which rkey and address each link's peer writes them (RFC 7609 section 4.4).
//
//   RMB = 1, 4, 16 or 64 elements (RMBEs) of one size, registered once; element i (from 1) is at (i - 1) * size
//
// The first RMB of a link group is told to the peer in CLC, every later one by CONFIRM RKEY on all links before its first use. So
// the more elements an RMB has, the fewer round trips later connections take. Eyecatchers are not used (CONFIRM LINK says so), and
// elements are not cleared between connections: the reader sees only what the producer cursor covers.

import type { Link } from './link.js';

/** Elements of the first, second ... RMB of one size; later ones have the last number. */
const ELEMENTS = [1, 4, 16, 64] as const;
/** An RMB of several elements has no more bytes than this: registered memory is locked. */
const MAX_SHARED_BYTES = 16 << 20;
/** What one RMB may have at most, by its index of one byte. */
export const MAX_ELEMENTS = 255;
/** RMBs of one link group: as many as Linux keeps rtokens for. */
export const MAX_RMBS = 255;

export interface Rkey {
  readonly rkey: number;
  readonly address: bigint;
}

/** One RMB of ours. */
export class Rmb {
  /** Bytes of one element, a power of two from 16 KiB. */
  readonly elementSize: number;
  readonly elements: number;
  readonly rkeys = new Map<Link, Rkey>();
  /** Told to the peer, so elements may be named in CLC. */
  confirmed = false;
  /** Told to the peer that it is no more; nothing of it is used again. */
  deleted = false;
  readonly #free: number[];
  /** Elements whose peer never said that it writes no more. */
  #resting = 0;

  constructor(elementSize: number, elements: number) {
    this.elementSize = elementSize;
    this.elements = elements;
    this.#free = Array.from({ length: elements }, (_, i) => elements - i);
  }

  get length(): number {
    return this.elementSize * this.elements;
  }

  get used(): number {
    return this.elements - this.#free.length - this.#resting;
  }

  get hasFree(): boolean {
    return !this.deleted && this.#free.length > 0;
  }

  /** Worth giving back to the system: nothing is in use and some of it cannot be used again. */
  get worn(): boolean {
    return !this.deleted && this.used === 0 && this.#resting > 0;
  }

  /** Index from 1; undefined when all are used. */
  take(): number | undefined {
    return this.deleted ? undefined : this.#free.pop();
  }

  /** `clean`: the peer has said that it writes no more. Otherwise the element rests until the RMB is deleted. */
  give(index: number, clean: boolean): void {
    if (clean) this.#free.push(index);
    else this.#resting++;
  }
}

/** An element in use. */
export interface Element {
  readonly rmb: Rmb;
  /** From 1. */
  readonly index: number;
}

/** The RMBs of one link group. */
export class Rmbs {
  readonly all: Rmb[] = [];

  /** A free element of this size whose RMB the peer knows. */
  take(elementSize: number): Element | undefined {
    for (const rmb of this.all) {
      if (rmb.elementSize !== elementSize || !rmb.confirmed) continue;
      const index = rmb.take();
      if (index !== undefined) return { rmb, index };
    }
    return undefined;
  }

  /** A new RMB for elements of this size, not confirmed, without rkeys; undefined when there are too many. */
  add(elementSize: number): Rmb | undefined {
    if (this.all.length === MAX_RMBS) return undefined;
    const same = this.all.filter((rmb) => rmb.elementSize === elementSize).length;
    const elements = Math.min(ELEMENTS[Math.min(same, ELEMENTS.length - 1)] as number, Math.max(1, MAX_SHARED_BYTES / elementSize));
    const rmb = new Rmb(elementSize, elements);
    this.all.push(rmb);
    return rmb;
  }

  /** The RMB is deregistered. */
  remove(rmb: Rmb): void {
    rmb.deleted = true;
    const at = this.all.indexOf(rmb);
    if (at !== -1) this.all.splice(at, 1);
  }

  forgetLink(link: Link): void {
    for (const rmb of this.all) rmb.rkeys.delete(link);
  }
}
