// explore.test.ts - the explorer itself: it finds what there is to find, by the shortest way, and says when there is nothing.

import { describe, expect, it } from 'vitest';
import { explore, type Model } from './explore.js';

/** Two processes that take two locks; the orders in which they take them are given. */
function locks(orders: readonly (readonly [string, string])[]): Model<{ at: number[]; held: Record<string, number> }> {
  return {
    start: { at: [0, 0], held: { a: -1, b: -1 } },
    steps: (state) =>
      orders.flatMap((order, process) => {
        const at = state.at[process] as number;
        const next = state.at.map((value, i) => (i === process ? value + 1 : value));
        if (at < 2) {
          const lock = order[at] as string;
          if (state.held[lock] !== -1) return [];
          return [{ label: `${process} takes ${lock}`, to: { at: next, held: { ...state.held, [lock]: process } } }];
        }
        if (at > 2) return [];
        const freed = Object.fromEntries(Object.entries(state.held).map(([lock, owner]) => [lock, owner === process ? -1 : owner]));
        return [{ label: `${process} frees both`, to: { at: next, held: { a: freed.a as number, b: freed.b as number } } }];
      }),
    stuck: ({ at }) => (at.every((pc) => pc === 3) ? undefined : 'a process waits for ever'),
  };
}

describe('the explorer', () => {
  it('finds no deadlock where there is none, and visits every state once', () => {
    expect(
      explore(
        locks([
          ['a', 'b'],
          ['a', 'b'],
        ]),
      ),
    ).toEqual({ states: 12, ends: [{ at: [3, 3], held: { a: -1, b: -1 } }] });
  });

  it('finds a deadlock by the shortest way', () => {
    const { failure } = explore(
      locks([
        ['a', 'b'],
        ['b', 'a'],
      ]),
    );
    expect(failure?.what).toBe('a process waits for ever');
    expect(failure?.trace.slice(0, -1)).toEqual(['0 takes a', '1 takes b']);
  });

  it('finds a state that is wrong', () => {
    const counter: Model<number> = {
      start: 0,
      steps: (value) => (value < 5 ? [{ label: 'one more', to: value + 1 }] : []),
      wrong: (value) => (value === 3 ? 'three' : undefined),
      stuck: () => undefined,
    };
    expect(explore(counter).failure).toEqual({ what: 'three', trace: ['one more', 'one more', 'one more', '3'] });
  });

  it('finds a circle without a way out', () => {
    const trap: Model<string> = {
      start: 'free',
      steps: (state) => {
        if (state === 'free')
          return [
            { label: 'go home', to: 'home' },
            { label: 'step in', to: 'left' },
          ];
        if (state === 'home') return [];
        return [{ label: 'turn', to: state === 'left' ? 'right' : 'left' }];
      },
      stuck: () => undefined,
    };
    expect(explore(trap).failure).toMatchObject({ what: 'no end can be reached any more', trace: ['step in', '"left"'] });
  });
});
