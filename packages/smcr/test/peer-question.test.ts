// peer-question.test.ts - the question that a TEST LINK may carry, and what is none.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodePeerQuestion, encodePeerQuestion, KNOWN } from '../src/llc/index.js';

it('is read as it was written', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.nat(0xffffffff), (known, token) => {
      expect(decodePeerQuestion(encodePeerQuestion({ known, token }))).toEqual({ known, token });
    }),
  );
  expect(Buffer.from(encodePeerQuestion({ known: KNOWN.gone, token: 0x01020304 })).toString('latin1')).toBe(
    'smcjs?\0\0\x03\0\0\0\x01\x02\x03\x04',
  );
});

it('is not found in what others send', () => {
  // Linux sends zeros.
  expect(decodePeerQuestion(new Uint8Array(16))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      expect(decodePeerQuestion(bytes)).toBeUndefined();
    }),
  );
});
