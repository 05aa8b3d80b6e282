// closing.test.ts - however a connection ends, no byte is lost before an end, both sides get to theirs, and no ring is
// given away too early or never; and each rule is needed.

import { describe, it } from 'vitest';
import { CLOSING_RULES, type ClosingRules, closing, type May } from './closing.js';
import { fails, holds } from './expect.js';

const WAYS: readonly May[] = ['end', 'destroy', 'reset', 'die'];

describe('the end of a connection', () => {
  for (const [i, one] of WAYS.entries()) {
    for (const other of WAYS.slice(i)) {
      it(`comes to both sides when one may ${one} and the other may ${other}`, () => {
        holds(`closing, ${one} and ${other}`, closing(CLOSING_RULES, [one, other], [2, 1]));
        if (one !== other) holds(`closing, ${other} and ${one}`, closing(CLOSING_RULES, [other, one], [2, 1]));
      });
    }
  }

  const needed: readonly (readonly [what: string, without: Partial<ClosingRules>, may: readonly [May, May], how: RegExp])[] = [
    ['loses bytes when the state is stored before the last ones', { publishFirst: false }, ['end', 'end'], /^the end is told before/],
    ['loses bytes when the state is looked at after the last ones', { stateFirst: false }, ['end', 'end'], /^the end is told before/],
    ['loses bytes when a lost peer has ended at once', { drainFirst: false }, ['die', 'end'], /^the end is told before/],
    ['never gives a ring back when closing is not told', { tellsClosing: false }, ['end', 'end'], /is never given back$/],
    ['never comes when a writer is not told that nobody reads', { failsWrites: false }, ['end', 'destroy'], /never closes$/],
    ['never comes when nobody guards', { guard: false }, ['die', 'end'], /never closes$/],
    ['lets a ring be written that was given away', { bothClosed: false }, ['destroy', 'end'], /another connection's$/],
  ];
  for (const [what, without, may, how] of needed) {
    it(what, () => {
      fails(what, closing({ ...CLOSING_RULES, ...without }, may, [2, 1]), how);
    });
  }
});
