// clc-reader.test.ts - CLC messages in a byte stream: split anywhere, followed by payload, or not CLC at all.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLC_MAX_LENGTH, ClcReader, decode, encode, startsLikeClc } from '../src/clc/index.js';
import { clcError, hex, message, onlyClcErrors, VECTORS } from './clc-helpers.js';

describe('ClcReader', () => {
  it.each(VECTORS)('gives $name whole, split at every point', ({ hex: dump }) => {
    const bytes = hex(dump);
    const expected = decode(bytes);
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new ClcReader();
      reader.push(bytes.subarray(0, at));
      if (at < bytes.length) expect(reader.next()).toBeUndefined();
      reader.push(bytes.subarray(at));
      expect(reader.next()).toEqual(expected);
      expect(reader.next()).toBeUndefined();
      expect(reader.rest().length).toBe(0);
    }
  });

  it('gives messages and the payload behind them, however they arrive', () => {
    const stream = fc.tuple(
      fc.array(message, { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
    );
    fc.assert(
      fc.property(stream, ([messages, payload, sizes]) => {
        const bytes = Buffer.concat([...messages.map(encode), payload]);
        const reader = new ClcReader();
        const taken = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] as number;
          reader.push(bytes.subarray(at, at + size));
          at += size;
          while (taken.length < messages.length) {
            const next = reader.next();
            if (next === undefined) break;
            taken.push(next);
          }
        }
        expect(taken).toEqual(messages);
        expect(new Uint8Array(reader.rest())).toEqual(payload);
      }),
    );
  });

  it('gives a message byte by byte', () => {
    const bytes = hex(VECTORS[2]?.hex ?? '');
    const reader = new ClcReader();
    bytes.forEach((_byte, i) => {
      expect(reader.next()).toBeUndefined();
      reader.push(bytes.subarray(i, i + 1));
    });
    expect(reader.next()).toEqual(decode(bytes));
  });

  it('keeps copies: what is pushed may be overwritten', () => {
    const bytes = hex(VECTORS[0]?.hex ?? '');
    const reader = new ClcReader();
    for (const part of [bytes.slice(0, 50), bytes.slice(50)]) {
      reader.push(part);
      part.fill(0);
    }
    expect(reader.next()).toEqual(decode(bytes));
    const payload = Uint8Array.of(1, 2, 3);
    reader.push(payload);
    payload.fill(0);
    expect([...reader.rest()]).toEqual([1, 2, 3]);
    expect(reader.rest().length).toBe(0);
  });

  it.each([
    ['the first byte', 'e1', /offset 0/],
    ['the last byte of the eyecatcher', 'e2d4c3d8', /offset 3/],
    ['the type', 'e2d4c3d905', /offset 4/],
    ['type 0', 'e2d4c3d900', /offset 4/],
    ['a length far beyond the maximum', 'e2d4c3d90120', /offset 5/],
    ['a length beyond the maximum', 'e2d4c3d9031095', /offset 5/],
    ['a length below the minimum', 'e2d4c3d904001b', /offset 5/],
    ['version 0', 'e2d4c3d904001c00', /offset 7/],
    ['version 3', 'e2d4c3d904001c30', /offset 7/],
    ['a Decline of version 2 with the length of version 1', 'e2d4c3d904001c20', /offset 5/],
    ['a Proposal longer than all its parts', 'e2d4c3d901028d22', /offset 5/],
  ])('refuses %s at once, on every call, and keeps the bytes', (_what, start, expected) => {
    const bytes = hex(start);
    const reader = new ClcReader();
    reader.push(bytes.subarray(0, -1));
    expect(reader.next()).toBeUndefined();
    reader.push(bytes.subarray(-1));
    expect(clcError(() => reader.next()).message).toMatch(expected);
    clcError(() => reader.next());
    expect(new Uint8Array(reader.rest())).toEqual(bytes);
  });

  it('settles any stream of the maximal length: a message or an error, never more waiting', () => {
    const frame = fc.tuple(fc.constantFrom('e2d4c3d9', 'e2d4c3c4'), fc.uint8Array({ minLength: 4, maxLength: 4 }));
    fc.assert(
      fc.property(frame, ([eyecatcher, head]) => {
        const reader = new ClcReader();
        reader.push(Buffer.concat([hex(eyecatcher), head, Buffer.alloc(CLC_MAX_LENGTH - 8)]));
        expect(onlyClcErrors(() => reader.next() ?? 'waits')).not.toBe('waits');
      }),
    );
  });

  it('takes the longest message there is', () => {
    const confirm = decode(hex(VECTORS[2]?.hex ?? ''));
    if (confirm.type !== 'confirm' || confirm.firstContactExtension === undefined) throw new Error(confirm.type);
    const gids = Array.from({ length: 255 }, (_, i) => new Uint8Array(16).fill(i));
    const longest = { ...confirm, firstContactExtension: { ...confirm.firstContactExtension, gids } };
    const reader = new ClcReader();
    reader.push(encode(longest));
    expect(encode(longest).length).toBe(CLC_MAX_LENGTH);
    expect(reader.next()).toEqual(longest);
  });
});

describe('startsLikeClc', () => {
  it('tells as soon as it can', () => {
    for (const eyecatcher of ['e2d4c3d9', 'e2d4c3c4']) {
      const bytes = hex(eyecatcher);
      for (let length = 0; length < 4; length++) expect(startsLikeClc(bytes.subarray(0, length))).toBe('more');
      expect(startsLikeClc(bytes)).toBe('yes');
      expect(startsLikeClc(hex(`${eyecatcher}ff`))).toBe('yes');
      for (let at = 0; at < 4; at++) {
        const other = Uint8Array.from(bytes);
        other[at] = 0x47;
        expect(startsLikeClc(other)).toBe('no');
        expect(startsLikeClc(other.subarray(0, at + 1))).toBe('no');
      }
    }
    expect(startsLikeClc(Buffer.from('GET / HTTP/1.1'))).toBe('no');
  });
});
