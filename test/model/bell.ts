// bell.ts - the bell between two threads as a model (core/src/worker/bell.ts): one tells of news, the other looks for a while
// and sleeps, in its loop or in Atomics.wait. News are, in turns, a producer cursor that moved and the count `news`.

import type { Model, Step } from './explore.js';
import { drains, exchange, load, type Memory, memory, type Order, store } from './tso.js';

export interface BellRules {
  /** How `news` (and the cursor) and `sleeping` are stored. */
  readonly news: Order;
  readonly sleeping: Order;
  /** Who goes to sleep looks at `news` again once it has said so. */
  readonly lookAgain: boolean;
  /** Who tells stores `news` before it looks at `sleeping`. */
  readonly newsFirst: boolean;
  /** The word that Atomics.wait compares: who told may have taken `sleeping` back for news that were seen already. */
  readonly waitsOn: 'sleeping' | 'news';
}

export const BELL_RULES: BellRules = { news: 'ordered', sleeping: 'ordered', lookAgain: true, newsFirst: true, waitsOn: 'sleeping' };

export type Sleep = 'in its loop' | 'in Atomics.wait';

const TELLER = 0;
const SLEEPER = 1;
const AWAKE = 0;
const ASLEEP = 1;

interface State {
  readonly memory: Memory;
  /** Messages on their way to the port of a loop. */
  readonly rung: number;
  readonly teller: { readonly at: 'store' | 'look' | 'swap' | 'wake'; readonly told: number };
  readonly sleeper: { readonly at: 'take' | 'look' | 'lie down' | 'again' | 'wait' | 'get up' | 'asleep' | 'woken'; readonly seen: number };
}

export function bell(rules: BellRules, sleep: Sleep, total: number): Model<State> {
  return {
    start: {
      memory: memory({ news: 0, cursor: 0, sleeping: 0 }, 2),
      rung: 0,
      teller: { at: rules.newsFirst ? 'store' : 'look', told: 0 },
      sleeper: { at: 'take', seen: 0 },
    },
    steps: (state) => [
      ...drains(state.memory).map(({ label, memory: drained }) => ({ label, to: { ...state, memory: drained } })),
      ...tellerSteps(state),
      ...sleeperSteps(state),
    ],
    stuck: ({ sleeper }) => (sleeper.seen === total ? undefined : `sleeps having seen ${sleeper.seen} of ${total}`),
  };

  function tellerSteps(state: State): Step<State>[] {
    const { memory: at, teller } = state;
    if (teller.told === total) return [];
    const told = { at: rules.newsFirst ? 'store' : 'look', told: teller.told + 1 } as const;
    const to = (label: string, change: Partial<State>): Step<State>[] => [{ label: `teller ${label}`, to: { ...state, ...change } }];
    // Without `newsFirst` it looks and rings first, and stores last.
    const rang = rules.newsFirst ? told : ({ at: 'store', told: teller.told } as const);
    switch (teller.at) {
      case 'store': {
        const stored = store(at, TELLER, teller.told % 2 === 0 ? 'cursor' : 'news', teller.told + 1, rules.news);
        return stored === undefined
          ? []
          : to('stores news', { memory: stored, teller: rules.newsFirst ? { ...teller, at: 'look' } : told });
      }
      case 'look':
        if (load(at, TELLER, 'sleeping') === AWAKE) return to('sees nobody sleep', { teller: rang });
        return to('sees it sleep', { teller: { ...teller, at: 'swap' } });
      case 'swap': {
        const swapped = exchange(at, TELLER, 'sleeping', AWAKE);
        if (swapped === undefined) return [];
        if (swapped.old !== ASLEEP) return to('finds it awake', { memory: swapped.memory, teller: rang });
        if (sleep === 'in its loop') return to('rings', { memory: swapped.memory, rung: state.rung + 1, teller: rang });
        return to('has it woken', { memory: swapped.memory, teller: { ...teller, at: 'wake' } });
      }
      case 'wake': {
        const sleeper = state.sleeper.at === 'asleep' ? { ...state.sleeper, at: 'woken' as const } : state.sleeper;
        return to('wakes it', { sleeper, teller: rang });
      }
    }
  }

  function sleeperSteps(state: State): Step<State>[] {
    const { memory: at, sleeper } = state;
    const news = Math.max(load(at, SLEEPER, 'news'), load(at, SLEEPER, 'cursor'));
    const to = (label: string, change: Partial<State['sleeper']>, more: Partial<State> = {}): Step<State>[] => [
      { label: `sleeper ${label}`, to: { ...state, ...more, sleeper: { ...sleeper, ...change } } },
    ];
    const say = (value: number, order: Order, then: State['sleeper']['at']): Step<State>[] => {
      const stored = store(at, SLEEPER, 'sleeping', value, order);
      return stored === undefined ? [] : to(value === ASLEEP ? 'lies down' : 'is up', { at: then }, { memory: stored });
    };
    switch (sleeper.at) {
      case 'take':
        return to(`takes ${news}`, { seen: news, at: 'look' });
      case 'look':
        return to(news === sleeper.seen ? 'sees no news' : 'sees news', { at: news === sleeper.seen ? 'lie down' : 'take' });
      case 'lie down':
        return say(ASLEEP, rules.sleeping, rules.lookAgain ? 'again' : 'wait');
      case 'again':
        return to('looks again', { at: news === sleeper.seen ? 'wait' : 'get up' });
      case 'wait': {
        // Atomics.wait compares and goes to sleep in one step; a loop blocks in the kernel, until there is a message.
        const same = rules.waitsOn === 'news' ? news === sleeper.seen : load(at, SLEEPER, 'sleeping') === ASLEEP;
        return to('waits', { at: sleep === 'in its loop' || same ? 'asleep' : 'get up' });
      }
      case 'asleep':
        return state.rung > 0 ? to('is rung', { at: 'get up' }, { rung: state.rung - 1 }) : [];
      case 'woken':
        return to('is woken', { at: 'get up' });
      case 'get up':
        return say(AWAKE, 'ordered', 'take');
    }
  }
}
