// cdc.test.ts - the CDC message and its cursors.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CDC_LENGTH, CURSOR_IMPOSSIBLE, CURSOR_OLD, Cursor, emptyCdc, isBefore, readCdc, writeCdc } from '../src/cdc/index.js';
import { hex, toHex } from './vectors.js';

const DUMP = hex(`fe 2c ffff 89abcdef  0000 fffe 0003fff0  0000 0001 00000010  c8 60 ${'00'.repeat(18)}`);

describe('the CDC message', () => {
  it('is read and written as laid out', () => {
    const message = emptyCdc();
    expect(readCdc(DUMP, 0, CDC_LENGTH, message)).toBe(true);
    expect(message).toEqual({
      sequence: 0xffff,
      token: 0x89abcdef,
      producerWrap: 0xfffe,
      producerOffset: 0x3fff0,
      consumerWrap: 1,
      consumerOffset: 16,
      flags: 0xc8,
      state: 0x60,
    });
    const out = new Uint8Array(CDC_LENGTH + 8).fill(0xff);
    writeCdc(out, 4, message);
    expect(toHex(out)).toBe(`ffffffff${toHex(DUMP)}ffffffff`);
  });

  it('any bytes are read or refused, never more than there are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(70), fc.nat(70), (bytes, at, length) => {
        const message = emptyCdc();
        const whole = length >= 26 && at + length <= bytes.length && bytes[at] === 0xfe && bytes[at + 1] === 44;
        expect(readCdc(bytes, at, length, message)).toBe(whole);
      }),
    );
    const short = emptyCdc();
    expect(readCdc(DUMP, 0, 25, short)).toBe(false);
    expect(short).toEqual(emptyCdc());
  });

  it('sequence numbers wrap', () => {
    expect([isBefore(1, 2), isBefore(2, 1), isBefore(0xffff, 0), isBefore(0, 0xffff), isBefore(5, 5)]).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
  });
});

describe('a cursor', () => {
  const size = fc.constantFrom(16384, 65536, 4194304);

  it('says how far it is to any cursor up to the size ahead, over every wrap', () => {
    fc.assert(
      fc.property(size, fc.array(fc.nat()), fc.nat(), (bytes, steps, ahead) => {
        const cursor = new Cursor(bytes);
        cursor.wrap = 0xfffe;
        for (const step of steps) cursor.advance(step % (bytes + 1));
        const other = new Cursor(bytes);
        other.wrap = cursor.wrap;
        other.offset = cursor.offset;
        const distance = ahead % (bytes + 1);
        other.advance(distance);
        expect(cursor.distanceTo(other.wrap, other.offset)).toBe(distance);
        if (distance > 0 && distance < bytes) expect(other.distanceTo(cursor.wrap, cursor.offset)).toBe(CURSOR_OLD);
        other.retreat(distance);
        expect([other.wrap, other.offset]).toEqual([cursor.wrap, cursor.offset]);
      }),
    );
  });

  it('tells an older cursor from one that cannot be', () => {
    const cursor = new Cursor(16384);
    cursor.advance(100);
    expect(cursor.distanceTo(0, 99)).toBe(CURSOR_OLD);
    expect(cursor.distanceTo(0xffff, 16383)).toBe(CURSOR_OLD);
    expect(cursor.distanceTo(1, 100)).toBe(16384);
    expect(cursor.distanceTo(1, 101)).toBe(CURSOR_IMPOSSIBLE);
    expect(cursor.distanceTo(2, 0)).toBe(CURSOR_IMPOSSIBLE);
    expect(cursor.distanceTo(0, 16384)).toBe(CURSOR_IMPOSSIBLE);
    expect(cursor.distanceTo(0, 0xffffffff)).toBe(CURSOR_IMPOSSIBLE);
  });
});
