// elements.test.ts - rings in the segments of a link group: used again, checked, never split, and gone with it.

import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { RingConsumer } from '@smcjs/core/backend';
import { ENOMEM } from '../dist/addon.js';
import { type Element, MAX_ELEMENTS, OwnSegments, PeerSegments } from '../dist/segment.js';
import { byteOps, runBytes } from '../../core/test/ring-model.js';
import { recordOps, runRecords } from '../../core/test/ring-records-model.js';
import { withSegment } from './raw-peer.js';
import { addon, descriptors, describeNative, mappings } from './support.js';

const PAGE = 4096;

/** Both sides of segments, as two loops have them. */
function both(): { own: OwnSegments; peer: PeerSegments; announced: number } {
  const state = { own: undefined as unknown as OwnSegments, peer: new PeerSegments(addon), announced: 0 };
  state.own = new OwnSegments(addon, (id, elements, capacity, descriptor) => {
    state.announced++;
    return state.peer.add(id, elements, capacity, descriptor);
  });
  onTestFinished(() => {
    state.own.unmap();
    state.peer.unmap();
  });
  return state;
}
describeNative('elements', () => {
  it('hold a ring that both sides see, empty and never split', () => {
    const { own, peer } = both();
    const mine = own.allocate(16_384) as Element;
    const theirs = peer.get(mine.name) as Element;
    expect([mine.memory.mirrored, theirs.memory.mirrored]).toEqual([true, true]);
    theirs.memory.data.write('seen', 16_380);
    expect(mine.memory.data.toString('latin1', 16_380, 16_386)).toBe('seen\0\0');
    expect(new RingConsumer(mine.memory).available()).toBe(0);
  });

  it('are used again and cleared, without a new segment', () => {
    const state = both();
    const { own, peer } = state;
    const seen = new Set<string>();
    const before = descriptors();
    for (let i = 0; i < 200; i++) {
      const element = own.allocate(16_384) as Element;
      seen.add(JSON.stringify(element.name));
      expect(new RingConsumer(element.memory).available()).toBe(0);
      expect(element.memory.words[96]).toBe(0);
      (peer.get(element.name) as Element).memory.words.fill(7);
      own.free(element);
    }
    expect(seen.size).toBe(1);
    expect(state.announced).toBe(1);
    expect(descriptors()).toEqual(before);
  });

  it('come in segments that grow, and need no descriptor once they are mapped', () => {
    const state = both();
    const before = descriptors();
    const elements = Array.from({ length: 200 }, () => state.own.allocate(16_384) as Element);
    expect(new Set(elements.map(({ name }) => `${name.segment} ${name.index}`)).size).toBe(200);
    expect(state.announced).toBe(6); // 4 + 8 + 16 + 32 + 64 + 128
    expect(descriptors()).toEqual(before);
  });

  it('of different sizes do not share a segment', () => {
    const { own } = both();
    const [small, large] = [own.allocate(16_384) as Element, own.allocate(65_536) as Element];
    expect(small.name.segment).not.toBe(large.name.segment);
    own.free(small);
    expect((own.allocate(65_536) as Element).memory.capacity).toBe(65_536);
    expect((own.allocate(16_384) as Element).name).toEqual(small.name);
  });

  it('are unmapped with their link group, views and all', () => {
    const before = mappings().length;
    const { own, peer } = both();
    const mine = own.allocate(16_384) as Element;
    const theirs = peer.get(mine.name) as Element;
    expect(mappings().length).toBeGreaterThan(before);
    own.unmap();
    peer.unmap();
    expect(mappings().length).toBe(before);
    expect([mine.memory.data.length, theirs.memory.words.length]).toEqual([0, 0]);
    expect(peer.get(mine.name)).toBeUndefined();
  });

  it('of a peer are those it has announced, and no others', () => {
    const { own, peer } = both();
    const { name } = own.allocate(16_384) as Element;
    for (const other of [
      { segment: 1, index: 0 },
      { segment: 0, index: 4 },
      { segment: 0, index: 2 ** 32 - 1 },
      { segment: 2 ** 32 - 1, index: 0 },
    ]) {
      expect(peer.get(other), JSON.stringify(other)).toBeUndefined();
    }
    expect(peer.get(name)).toBeDefined();
  });

  it.each([
    ['an id out of turn', 1, 4, 16_384],
    ['no elements', 0, 0, 16_384],
    ['too many elements', 0, MAX_ELEMENTS + 1, 16_384],
    ['an impossible number of elements', 0, 2 ** 32 - 1, 16_384],
    ['rings too small', 0, 4, 8192],
    ['rings too large', 0, 4, 8 * 1024 * 1024],
    ['rings that are no power of two', 0, 4, 24_576],
    ['an impossible size', 0, 4, 2 ** 31],
    ['another size than it has', 0, 5, 16_384],
  ])('are not taken from a segment announced with %s', (_what, id, elements, capacity) => {
    const before = mappings().length;
    withSegment(PAGE + 4 * 16_384, (fd) => {
      expect(new PeerSegments(addon).add(id, elements, capacity, fd)).toBe(false);
    });
    expect(mappings().length).toBe(before);
  });
});

describeNative('without memory', () => {
  it('an element of ours that can not be mapped is free again when there is some', () => {
    let mapped = true;
    const own = new OwnSegments({ ...addon, mirror: (...of) => (mapped ? addon.mirror(...of) : ENOMEM) }, () => true);
    onTestFinished(() => own.unmap());
    const first = own.allocate(16_384) as Element;
    mapped = false;
    for (let i = 0; i < 20; i++) expect(own.allocate(16_384)).toBeUndefined();
    mapped = true;
    const names = [first, ...Array.from({ length: 3 }, () => own.allocate(16_384) as Element)].map(({ name }) => name);
    expect(names.map(({ segment, index }) => `${segment} ${index}`)).toEqual(['0 0', '0 1', '0 2', '0 3']);
  });

  it("a peer's segment is mapped when there is some, and holds a descriptor until then", () => {
    let mapped = false;
    const peer = new PeerSegments({ ...addon, mapSegment: (...of) => (mapped ? addon.mapSegment(...of) : ENOMEM) });
    onTestFinished(() => peer.unmap());
    const own = new OwnSegments(addon, (...of) => peer.add(...of));
    onTestFinished(() => own.unmap());
    const before = descriptors().length;
    const element = own.allocate(16_384) as Element;
    expect(peer.get(element.name)).toBeUndefined();
    expect(descriptors().length).toBe(before + 1);
    mapped = true;
    (peer.get(element.name) as Element).memory.data.write('seen');
    expect(element.memory.data.toString('latin1', 0, 4)).toBe('seen');
    expect(descriptors().length).toBe(before);
    mapped = false;
    own.allocate(32_768);
    expect(descriptors().length).toBe(before + 1);
    peer.unmap();
    expect(descriptors().length).toBe(before);
  });
});

describeNative('a ring in mirrored memory', () => {
  it('is a queue of bytes', () => {
    const { own } = both();
    fc.assert(
      fc.property(byteOps(16_384, 40), fc.nat(3), (ops, wraps) => {
        const element = own.allocate(16_384) as Element;
        runBytes(element.memory, ops, wraps === 0 ? 2 ** 32 - 20_000 : 0);
        own.free(element);
      }),
      { numRuns: 80 },
    );
  });

  it('is a queue of records', () => {
    const { own } = both();
    fc.assert(
      fc.property(recordOps(16_384), fc.nat(3), (ops, wraps) => {
        const element = own.allocate(16_384) as Element;
        runRecords(element.memory, ops, wraps === 0 ? 2 ** 32 - 20_000 : 0);
        own.free(element);
      }),
      { numRuns: 80 },
    );
  });
});
