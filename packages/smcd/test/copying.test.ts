// copying.test.ts - the copy of large pieces is exact, whichever way it takes, and stays within both memories.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { addon, describeNative, E } from './support.js';

const SIZE = 160_000;
const EDGE = 0xee;

describeNative('copyIn', () => {
  it('copies every byte and no other, at any alignment', () => {
    const source = Uint8Array.from({ length: SIZE }, (_, i) => (Math.imul(i, 0x9e3779b1) >>> 24) & 0xff);
    const target = new Uint8Array(SIZE);
    const length = fc.oneof(fc.nat(300), fc.integer({ min: 4000, max: 20_000 }), fc.nat(130_000));
    // Long pieces are copied in both ways in turn, as they are tried.
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), length, (at, start, bytes) => {
        target.fill(EDGE);
        expect(addon.copyIn(target, at, source, start, bytes)).toBe(0);
        expect(Buffer.compare(target.subarray(at, at + bytes), source.subarray(start, start + bytes))).toBe(0);
        expect(target.subarray(0, at).every((byte) => byte === EDGE)).toBe(true);
        expect(target.subarray(at + bytes).every((byte) => byte === EDGE)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('refuses what is outside of either memory', () => {
    const [target, source] = [new Uint8Array(100), new Uint8Array(100)];
    for (const [at, start, length] of [
      [1, 0, 100],
      [0, 1, 100],
      [101, 0, 0],
      [0, 101, 0],
      [0, -1, 1],
      [0, 0, 2 ** 32 - 1],
    ] as const) {
      expect(addon.copyIn(target, at, source, start, length)).toBe(-E.INVAL);
    }
  });

  it('writes nothing to memory that has been unmapped', () => {
    const fd = addon.createSegment(4096);
    const buffer = addon.mapSegment(fd, 4096) as ArrayBuffer;
    addon.closeDescriptor(fd);
    const view = Buffer.from(buffer);
    expect(addon.copyIn(view, 0, new Uint8Array(10), 0, 10)).toBe(0);
    addon.unmap(buffer);
    expect(addon.copyIn(view, 0, new Uint8Array(10), 0, 10)).toBe(-E.INVAL);
  });
});
