// closing.test.ts - however a connection ends, no byte is lost before an end, both sides get to theirs, and no ring is
// given away too early or never; and each rule is needed.

import { describe, it } from 'vitest';
import { CLOSING_RULES, type ClosingRules, closing, type May } from './closing.js';
import { fails, holds } from './expect.js';

const WAYS: readonly May[] = ['end', 'answer', 'destroy', 'reset', 'die', 'break', 'stall'];

/** Two loops that give up their link group at any time make many more states than bytes do: one byte each is enough then. */
const bytesOf = (...ways: readonly May[]): readonly [number, number] =>
  ways.some((way) => way === 'break' || way === 'stall') ? [1, 1] : [2, 1];

describe('the end of a connection', () => {
  for (const [i, one] of WAYS.entries()) {
    for (const other of WAYS.slice(i)) {
      // Both would wait for the other's end.
      if (one === 'answer' && other === 'answer') continue;
      // What these do to one that reads nothing they do to one that gave up its link group.
      if (other === 'stall' && ['destroy', 'reset', 'stall'].includes(one)) continue;
      it(`comes to both sides when one may ${one} and the other may ${other}`, () => {
        const bytes = bytesOf(one, other);
        holds(`closing, ${one} and ${other}`, closing(CLOSING_RULES, [one, other], bytes));
        // With as many bytes on either side the other order is the same.
        if (one !== other && bytes[0] !== bytes[1]) holds(`closing, ${other} and ${one}`, closing(CLOSING_RULES, [other, one], bytes));
      });
    }
  }

  const needed: readonly (readonly [what: string, without: Partial<ClosingRules>, may: readonly [May, May], how: RegExp])[] = [
    ['loses bytes when the state is stored before the last ones', { publishFirst: false }, ['end', 'end'], /^the end is told before/],
    ['loses bytes when the state is looked at after the last ones', { stateFirst: false }, ['end', 'end'], /^the end is told before/],
    ['loses bytes when a lost peer has ended at once', { drainFirst: false }, ['die', 'end'], /^the end is told before/],
    ['never gives a ring back when closing is not told', { tellsClosing: false }, ['end', 'end'], /is never given back$/],
    ['never comes when a writer is not told that nobody reads', { failsWrites: false }, ['end', 'destroy'], /never closes$/],
    ['never comes when a reader does not ask for what follows a chunk', { asksAgain: false }, ['end', 'answer'], /never closes$/],
    [
      'is told of a peer that has broken off when the TCP connection is not waited for',
      { waitsForGuard: false },
      ['break', 'end'],
      /^an end is told by/,
    ],
    ['never comes when a peer that reads nothing is waited for', { verdict: false }, ['stall', 'end'], /never closes$/],
    ['is a reset that nobody made when the wait goes on behind an end', { guardEndsWait: false }, ['die', 'end'], /nobody made$/],
    ['is told by who was reset when its state does not say so', { tellsReset: false }, ['break', 'end'], /^an end is told by/],
    ['is a reset that nobody made when an RST means one whatever the state says', { trustsState: false }, ['end', 'end'], /nobody made$/],
    ['never comes when nobody guards', { guard: false }, ['die', 'end'], /never closes$/],
    ['lets a ring be written that was given away', { bothClosed: false }, ['destroy', 'end'], /another connection's$/],
  ];
  for (const [what, without, may, how] of needed) {
    it(what, () => {
      fails(what, closing({ ...CLOSING_RULES, ...without }, may, [2, 1]), how);
    });
  }

  it('is right by the state alone when the TCP connection of who was reset ends as any', () => {
    for (const other of ['end', 'answer'] as const) {
      const fin = { ...CLOSING_RULES, resetsGuard: false, resetsWhenDone: false };
      holds(`closing, break and ${other}, no RST`, closing(fin, ['break', other], [1, 1]));
    }
  });
});
