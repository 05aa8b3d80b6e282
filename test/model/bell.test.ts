// bell.test.ts - between threads no news are slept through, in any interleaving; and each rule is needed.

import { describe, it } from 'vitest';
import { BELL_RULES, type BellRules, bell, type Sleep } from './bell.js';
import { fails, holds } from './expect.js';

for (const sleep of ['in its loop', 'in Atomics.wait'] as const satisfies readonly Sleep[]) {
  describe(`the bell of a thread that sleeps ${sleep}`, () => {
    it('never leaves it asleep with news', () => {
      holds(`bell, ${sleep}`, bell(BELL_RULES, sleep, 4));
    });

    const needed: readonly (readonly [what: string, without: Partial<BellRules>])[] = [
      ['`news` is stored plainly', { news: 'plain' }],
      ['`sleeping` is stored plainly', { sleeping: 'plain' }],
      ['it does not look again before it sleeps', { lookAgain: false }],
      ['who tells looks before it stores the news', { newsFirst: false }],
      ...(sleep === 'in Atomics.wait' ? [['it waits for a change of `news`', { waitsOn: 'news' }] as const] : []),
    ];
    for (const [what, without] of needed) {
      it(`leaves it asleep when ${what}`, () => {
        fails(what, bell({ ...BELL_RULES, ...without }, sleep, 4), /^sleeps having seen/);
      });
    }
  });
}
