// segment.ts - memory of a link group: segments with several elements each, one element per connection and direction.
//
//   headers   512 bytes per element, rounded up to whole pages
//   elements  `capacity` bytes each; mapped twice in a row when first used
//
// The side that reads a ring makes it. Segments are sparse: an element costs memory when it is first written. Their
// descriptors are closed once mapped, so connections do not hold any.

import { HEADER_BYTES, initialise, type RingMemory, RING_SIZE_MAX, RING_SIZE_MIN } from '@smcjs/core/backend';
import { type Addon, ENOMEM } from './addon.js';
import type { ElementName } from './messages.js';

const PAGE = 4096;
export const MAX_ELEMENTS = 128;
/** Segments a peer may make us map: with the largest segments, enough for every slot of every ring size. */
export const MAX_SEGMENTS = 256;

const headerBytes = (elements: number) => Math.ceil((elements * HEADER_BYTES) / PAGE) * PAGE;
const segmentBytes = (elements: number, capacity: number) => headerBytes(elements) + elements * capacity;

/** One element: the ring in it, and where it is. */
export interface Element {
  readonly name: ElementName;
  readonly memory: RingMemory;
}

class Segment {
  readonly id: number;
  readonly elements: number;
  readonly capacity: number;
  readonly #addon: Addon;
  readonly #buffer: ArrayBuffer;
  readonly #words: Int32Array;
  readonly #mirrors = new Map<number, ArrayBuffer>();

  constructor(addon: Addon, buffer: ArrayBuffer, id: number, elements: number, capacity: number) {
    this.#addon = addon;
    this.#buffer = buffer;
    this.#words = new Int32Array(buffer, 0, headerBytes(elements) / 4);
    this.id = id;
    this.elements = elements;
    this.capacity = capacity;
  }

  /** The ring of one element; undefined when it cannot be mapped. */
  element(index: number): Element | undefined {
    let mirror = this.#mirrors.get(index);
    if (mirror === undefined) {
      const mapped = this.#addon.mirror(this.#buffer, headerBytes(this.elements) + index * this.capacity, this.capacity);
      if (typeof mapped === 'number') return undefined;
      mirror = mapped;
      this.#mirrors.set(index, mirror);
    }
    const addon = this.#addon;
    const data = Buffer.from(mirror);
    return {
      name: { segment: this.id, index },
      memory: {
        words: new Int32Array(this.#buffer, index * HEADER_BYTES, HEADER_BYTES / 4),
        within: { words: this.#words, at: (index * HEADER_BYTES) / 4 },
        data,
        capacity: this.capacity,
        mirrored: true,
        copyIn: (at, source, start, length) => void addon.copyIn(data, at, source, start, length),
      },
    };
  }

  /** Views of any element have length 0 afterwards. */
  unmap(): void {
    for (const mirror of this.#mirrors.values()) this.#addon.unmap(mirror);
    this.#mirrors.clear();
    this.#addon.unmap(this.#buffer);
  }
}

/** Our own elements: we read their rings. */
export class OwnSegments {
  readonly #addon: Addon;
  readonly #announce: (id: number, elements: number, capacity: number, descriptor: number) => boolean;
  readonly #segments: Segment[] = [];
  readonly #free = new Map<number, ElementName[]>();

  /** `announce` tells the peer about a new segment; the descriptor is closed when it returns. */
  constructor(addon: Addon, announce: (id: number, elements: number, capacity: number, descriptor: number) => boolean) {
    this.#addon = addon;
    this.#announce = announce;
  }

  /** A cleared element with a ring of `capacity` bytes; undefined when there is no memory for one. */
  allocate(capacity: number): Element | undefined {
    const free = this.#free.get(capacity);
    const name = free?.pop() ?? this.#grow(capacity);
    if (name === undefined) return undefined;
    const element = this.#segments[name.segment]?.element(name.index);
    // Not mapped for want of memory: free as before, for when there is some.
    if (element === undefined) this.#giveBack(capacity, name);
    else initialise(element.memory);
    return element;
  }

  free(element: Element): void {
    this.#giveBack(element.memory.capacity, element.name);
  }

  #giveBack(capacity: number, name: ElementName): void {
    const free = this.#free.get(capacity);
    if (free === undefined) this.#free.set(capacity, [name]);
    else free.push(name);
  }

  unmap(): void {
    for (const segment of this.#segments.splice(0)) segment.unmap();
    this.#free.clear();
  }

  /** Makes a segment, larger than the one before; returns its first element and notes the others as free. */
  #grow(capacity: number): ElementName | undefined {
    const id = this.#segments.length;
    if (id >= MAX_SEGMENTS) return undefined;
    const elements = Math.min(MAX_ELEMENTS, 4 << Math.min(id, 5));
    const bytes = segmentBytes(elements, capacity);
    const descriptor = this.#addon.createSegment(bytes);
    if (descriptor < 0) return undefined;
    try {
      const buffer = this.#addon.mapSegment(descriptor, bytes);
      if (typeof buffer === 'number') return undefined;
      const segment = new Segment(this.#addon, buffer, id, elements, capacity);
      if (!this.#announce(id, elements, capacity, descriptor)) {
        segment.unmap();
        return undefined;
      }
      this.#segments.push(segment);
    } finally {
      this.#addon.closeDescriptor(descriptor);
    }
    const free = this.#free.get(capacity) ?? [];
    for (let index = elements - 1; index > 0; index--) free.push({ segment: id, index });
    this.#free.set(capacity, free);
    return { segment: id, index: 0 };
  }
}

/** A segment that there was no memory to map: what is needed to try again. The descriptor is ours. */
interface Unmapped {
  readonly elements: number;
  readonly capacity: number;
  readonly descriptor: number;
}

/** The peer's elements: we write their rings. Everything about them is the peer's word and is checked here. */
export class PeerSegments {
  readonly #addon: Addon;
  /** At their ids. */
  readonly #segments: (Segment | Unmapped)[] = [];

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  /**
   * Maps an announced segment, later if there is no memory now; false when it is not what was announced. The descriptor
   * stays the caller's.
   */
  add(id: number, elements: number, capacity: number, descriptor: number): boolean {
    const sane =
      id === this.#segments.length &&
      id < MAX_SEGMENTS &&
      elements >= 1 &&
      elements <= MAX_ELEMENTS &&
      capacity >= RING_SIZE_MIN &&
      capacity <= RING_SIZE_MAX &&
      (capacity & (capacity - 1)) === 0;
    if (!sane) return false;
    const bytes = segmentBytes(elements, capacity);
    if (this.#addon.checkSegment(descriptor, bytes) !== 0) return false;
    const buffer = this.#addon.mapSegment(descriptor, bytes);
    if (typeof buffer !== 'number') {
      this.#segments.push(new Segment(this.#addon, buffer, id, elements, capacity));
      return true;
    }
    // Our want of memory is no fault of the peer's: connections that exist must not end for it.
    const kept = buffer === ENOMEM ? this.#addon.keepDescriptor(descriptor) : buffer;
    if (kept >= 0) this.#segments.push({ elements, capacity, descriptor: kept });
    return kept >= 0;
  }

  /** The element of that name; undefined when there is none, or no memory to map it. */
  get(name: ElementName): Element | undefined {
    const segment = this.#segments[name.segment];
    if (segment === undefined || name.index >= segment.elements) return undefined;
    return (segment instanceof Segment ? segment : this.#mapNow(name.segment, segment))?.element(name.index);
  }

  unmap(): void {
    for (const segment of this.#segments.splice(0)) {
      if (segment instanceof Segment) segment.unmap();
      else this.#addon.closeDescriptor(segment.descriptor);
    }
  }

  #mapNow(id: number, { elements, capacity, descriptor }: Unmapped): Segment | undefined {
    const buffer = this.#addon.mapSegment(descriptor, segmentBytes(elements, capacity));
    if (typeof buffer === 'number') return undefined;
    this.#addon.closeDescriptor(descriptor);
    const segment = new Segment(this.#addon, buffer, id, elements, capacity);
    this.#segments[id] = segment;
    return segment;
  }
}
