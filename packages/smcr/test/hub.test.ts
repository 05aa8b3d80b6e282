// hub.test.ts - when news are told.

import { expect, it } from 'vitest';
import { Hub } from '../src/backend/hub.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('tells at once what a wake-up brought, and what follows when the promises of that have settled', async () => {
  const hub = new Hub();
  const seen: string[] = [];
  // A callback of the loop: ticks come before promises in it.
  setImmediate(() => {
    hub.waking();
    hub.tell({
      deliver: () =>
        void Promise.resolve()
          .then(() => {})
          .then(() => seen.push('promise of the first')),
    });
    expect(seen).toEqual([]);
    hub.tell({ deliver: () => seen.push('first') });
    hub.woken();
    expect(seen).toEqual(['first']);
    hub.tell({ deliver: () => seen.push('second') });
    expect(seen).toEqual(['first']);
  });
  await turn();
  await turn();
  expect(seen).toEqual(['first', 'promise of the first', 'second']);
});

it('tells of what comes in the middle of it once it is over', async () => {
  const hub = new Hub();
  const seen: string[] = [];
  hub.waking();
  hub.tell({
    deliver: () => {
      seen.push('first');
      hub.tell({ deliver: () => seen.push('second') });
      expect(seen).toEqual(['first']);
    },
  });
  hub.woken();
  await turn();
  expect(seen).toEqual(['first', 'second']);
});
