// doorbell.test.ts - no wake-up is lost, in any interleaving, with plain stores delayed as x86 delays them; and each rule
// is needed.

import { describe, it } from 'vitest';
import { DOORBELL_RULES, type DoorbellRules, doorbell } from './doorbell.js';
import { fails, holds } from './expect.js';

const ONE = [0, 0, 0];
const TWO = [0, 1, 0, 1];
/** More messages than places for tokens, of more connections than that; the count wraps. */
const MANY = [0, 1, 2, 0, 1, 2];

describe('the doorbell', () => {
  it('loses no wake-up of one connection', () => {
    holds('doorbell, one connection', doorbell(DOORBELL_RULES, [...ONE, ...ONE]));
  });

  it('loses no wake-up of two connections', () => {
    holds('doorbell, two connections', doorbell(DOORBELL_RULES, TWO));
  });

  it('loses no wake-up when tokens overflow and counts wrap', () => {
    holds('doorbell, three connections', doorbell(DOORBELL_RULES, MANY));
  });

  const needed: readonly (readonly [what: string, without: Partial<DoorbellRules>, messages: readonly number[]])[] = [
    ['a cursor is stored plainly', { cursor: 'plain' }, ONE],
    ['`sleeping` is stored plainly', { sleeping: 'plain' }, ONE],
    ['`news` is stored plainly', { news: 'plain' }, ONE],
    ['`taken` is stored plainly', { taken: 'plain' }, ONE],
    ['the hub does not look again before it blocks', { lookAgain: false }, ONE],
    ['it is told before it is published', { cursorFirst: false }, ONE],
    ['`sleeping` is read before `news` is stored', { sleepingLast: false }, ONE],
    ['the cursors are read before tokens are said to be taken', { takenFirst: false }, ONE],
    ['tokens are copied after they are said to be taken', { copyFirst: false }, MANY],
    ['an overflow is not told', { overflow: false }, MANY],
    ['an overflow counts as a token that waits', { overflowUnmarked: false }, MANY],
  ];
  for (const [what, without, messages] of needed) {
    it(`loses one when ${what}`, () => {
      fails(what, doorbell({ ...DOORBELL_RULES, ...without }, messages), /^lost wake-up/);
    });
  }
});
