// payload.test.ts - the benchmark notices every byte that is lost, repeated or changed, however the stream is cut.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Checker, LINE, Payload } from '../payload.js';

/** `messages` messages and an end mark, as one stream. */
function stream(bytes: number, messages: number): Buffer {
  const payload = new Payload(bytes, 0);
  const parts = Array.from({ length: messages }, () => Buffer.from(payload.next()));
  return Buffer.concat([...parts, payload.end()]);
}

/** Gives the stream to a checker in pieces, each in memory of its own at some misalignment. */
function check(data: Buffer, cuts: readonly number[]): Checker {
  const checker = new Checker();
  let at = 0;
  for (const length of [...cuts, data.length]) {
    const piece = data.subarray(at, at + length);
    const memory = Buffer.alloc(piece.length + (length % 7));
    piece.copy(memory, length % 7);
    checker.push(memory, length % 7, memory.length);
    at += piece.length;
  }
  return checker;
}

const cuts = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 40 });

describe('payload', () => {
  it('accepts the stream however it is cut, and sees its end', () => {
    fc.assert(
      fc.property(fc.constantFrom(64, 128, 1024), fc.integer({ min: 0, max: 9 }), cuts, (bytes, messages, pieces) => {
        expect(check(stream(bytes, messages), pieces).ended).toBe(true);
      }),
    );
  });

  it('notices a lost, a repeated and a changed line', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 31 }), cuts, (line, pieces) => {
        const data = stream(1024, 2);
        const [from, to] = [line * LINE, (line + 1) * LINE];
        const changed = Buffer.from(data);
        changed[from + 1] = (changed[from + 1] as number) ^ 1;
        expect(() => check(Buffer.concat([data.subarray(0, from), data.subarray(to)]), pieces)).toThrow('expected');
        expect(() => check(Buffer.concat([data.subarray(0, to), data.subarray(from)]), pieces)).toThrow('expected');
        expect(() => check(changed, pieces)).toThrow('expected');
      }),
    );
  });

  it('gives every message memory of its own until the port is done with it', () => {
    const payload = new Payload(64, 640);
    const seen = Array.from({ length: 11 }, () => payload.next());
    expect(seen.map((message) => message.readInt32LE(0))).toEqual(seen.map((_, index) => index));
  });
});
