// doorbell.ts - the doorbell page as a model: packages/smcd/src/doorbell.ts and smcd-channel.ts on the side that rings,
// native/src/hub.cc and News on the side that is rung. A token ring of two, a count modulo four, a Unix socket that holds
// one byte: everything wraps and fills within a few messages.

import { type Model, replaced, type Step } from './explore.js';
import { drains, exchange, load, type Memory, memory, type Order, store } from './tso.js';

/** The rules that make it right; each can be taken away. */
export interface DoorbellRules {
  /** How these words are stored. */
  readonly cursor: Order;
  readonly sleeping: Order;
  readonly news: Order;
  readonly taken: Order;
  /** After saying that it sleeps the hub looks at the count again. */
  readonly lookAgain: boolean;
  /** What is news is stored before it is told. */
  readonly cursorFirst: boolean;
  /** `sleeping` is read after `news` was stored. */
  readonly sleepingLast: boolean;
  /** Without a place for a token a look at every connection is asked for. */
  readonly overflow: boolean;
  /** A connection whose news went by overflow has no token that is waiting, so its next news are told again. */
  readonly overflowUnmarked: boolean;
  /** Tokens are copied before they are said to be taken. */
  readonly copyFirst: boolean;
  /** Tokens are said to be taken before the cursors are read. */
  readonly takenFirst: boolean;
}

export const DOORBELL_RULES: DoorbellRules = {
  cursor: 'ordered',
  sleeping: 'ordered',
  news: 'ordered',
  taken: 'ordered',
  lookAgain: true,
  cursorFirst: true,
  sleepingLast: true,
  overflow: true,
  overflowUnmarked: true,
  copyFirst: true,
  takenFirst: true,
};

const TOKENS = 2;
const COUNTS = 4; // counts go over the page modulo this
const BELLS = 1; // bytes the Unix socket holds; a further one is dropped
const SENDER = 0;
const HUB = 1;

interface Sender {
  readonly at:
    | 'idle'
    | 'publish'
    | 'suppress'
    | 'ring'
    | 'look'
    | 'overflow'
    | 'token'
    | 'news'
    | 'asleep?'
    | 'wake'
    | 'bell'
    | 'rung'
    | 'done';
  readonly sent: number; // messages
  readonly count: number;
  readonly taken: number; // as last looked
  readonly marks: readonly number[];
  readonly mark: number; // of the token just left
}

interface Hub {
  readonly at:
    | 'look'
    | 'look overflow'
    | 'sleep'
    | 'again'
    | 'again overflow'
    | 'blocked'
    | 'turn'
    | 'awake'
    | 'take'
    | 'copy'
    | 'taken'
    | 'all?'
    | 'clear'
    | 'deliver';
  readonly taken: number;
  /** Count that `take` has seen, places still to copy, connections to look at, and whether all are. */
  readonly count: number;
  readonly copying: readonly number[];
  readonly slots: readonly number[];
  readonly all: boolean;
  readonly said: boolean;
  readonly seen: readonly number[];
}

interface State {
  readonly memory: Memory;
  readonly bells: number;
  readonly sender: Sender;
  readonly hub: Hub;
}

/** `messages`: the connection of each message, in order. */
export function doorbell(rules: DoorbellRules, messages: readonly number[]): Model<State> {
  const connections = Math.max(...messages) + 1;
  const each = Array.from({ length: connections }, (_, slot) => slot);
  const words = Object.fromEntries([
    ...each.map((slot) => [`cursor ${slot}`, 0]),
    ...Array.from({ length: TOKENS }, (_, i) => [`token ${i}`, -1]),
    ...['news', 'overflow', 'taken', 'sleeping'].map((word) => [word, 0]),
  ]) as Record<string, number>;

  return {
    start: {
      memory: memory(words, 2),
      bells: 0,
      sender: { at: 'idle', sent: 0, count: 0, taken: 0, marks: each.map(() => 0), mark: 0 },
      hub: { at: 'look', taken: 0, count: 0, copying: [], slots: [], all: false, said: false, seen: each.map(() => 0) },
    },
    steps: (state) => [
      ...drains(state.memory).map(({ label, memory: drained }) => ({ label, to: { ...state, memory: drained } })),
      ...senderSteps(state),
      ...hubSteps(state),
    ],
    stuck: ({ memory: at, sender, hub }) => {
      if (sender.at !== 'done') return 'the sender waits for ever';
      const lost = each.filter((slot) => hub.seen[slot] !== at.words[`cursor ${slot}`]);
      return lost.length === 0 ? undefined : `lost wake-up: asleep with news on connection ${lost.join(', ')}`;
    },
  };

  function senderSteps(state: State): Step<State>[] {
    const { memory: at, sender } = state;
    const slot = messages[sender.sent] as number;
    const next = (label: string, change: Partial<Sender>, bells = state.bells): Step<State>[] => [
      { label: `sender ${label}`, to: { ...state, bells, sender: { ...sender, ...change } } },
    ];
    /** A step that stores; it is not possible while the store has to wait. */
    const put = (label: string, change: Partial<Sender>, stored: Memory | undefined): Step<State>[] =>
      stored === undefined ? [] : [{ label: `sender ${label}`, to: { ...state, memory: stored, sender: { ...sender, ...change } } }];
    const look = (): number => {
      const waiting = (sender.count - load(at, SENDER, 'taken') + COUNTS) % COUNTS;
      return waiting <= TOKENS ? Math.max(sender.taken, sender.count - waiting) : sender.taken;
    };
    /** The cursor of this connection: its number of messages. */
    const publish = (then: Sender['at']): Step<State>[] =>
      put(
        `publishes on ${slot}`,
        { at: then },
        store(at, SENDER, `cursor ${slot}`, messages.slice(0, sender.sent + 1).filter((of) => of === slot).length, rules.cursor),
      );
    const asleep = (then: Sender['at']): Step<State>[] => {
      const sleeping = load(at, SENDER, 'sleeping');
      return next(`sees sleeping = ${sleeping}`, { at: sleeping === 0 ? then : 'wake' });
    };
    const told = rules.sleepingLast ? 'asleep?' : 'rung';
    switch (sender.at) {
      case 'idle':
        if (slot === undefined) return next('has nothing more', { at: 'done' });
        return rules.cursorFirst ? publish('suppress') : next('begins', { at: 'suppress' });
      case 'suppress': {
        const taken = look();
        const pending = (sender.marks[slot] as number) > taken;
        // The look is made only within a turn; so it may or may not be made.
        return [
          ...next('tells', { at: rules.sleepingLast ? 'ring' : 'asleep?' }),
          ...(pending ? next(`sees its token of ${slot} waiting`, { at: 'rung', taken, mark: sender.marks[slot] as number }) : []),
        ];
      }
      case 'ring':
        return next('rings', { at: sender.count - sender.taken >= TOKENS ? 'look' : 'token' });
      case 'look': {
        const taken = look();
        return next(`sees ${taken} taken`, { taken, at: sender.count - taken >= TOKENS ? 'overflow' : 'token' });
      }
      case 'overflow':
        return put(
          'asks for a look at all',
          { at: told, mark: rules.overflowUnmarked ? 0 : sender.count },
          rules.overflow ? store(at, SENDER, 'overflow', 1, 'ordered') : at,
        );
      case 'token':
        return put(
          `leaves token ${slot}`,
          { at: 'news', count: sender.count + 1, mark: sender.count + 1 },
          store(at, SENDER, `token ${sender.count % TOKENS}`, slot, 'plain'),
        );
      case 'news':
        return put('stores news', { at: told }, store(at, SENDER, 'news', (sender.count % COUNTS) * 16 + slot, rules.news));
      case 'asleep?':
        return asleep(rules.sleepingLast ? 'rung' : 'ring');
      case 'wake': {
        const swapped = exchange(at, SENDER, 'sleeping', 0);
        const then = rules.sleepingLast ? 'rung' : 'ring';
        return put('swaps sleeping', { at: swapped?.old === 0 ? then : 'bell' }, swapped?.memory);
      }
      case 'bell':
        return next('wakes the hub', { at: rules.sleepingLast ? 'rung' : 'ring' }, Math.min(state.bells + 1, BELLS));
      case 'rung': {
        const done = { at: 'idle', sent: sender.sent + 1, marks: replaced(sender.marks, slot, sender.mark) } as const;
        if (rules.cursorFirst) return next('goes on', done);
        return publish('idle').map(({ label, to }) => ({ label, to: { ...to, sender: { ...sender, ...done } } }));
      }
      default:
        return [];
    }
  }

  function hubSteps(state: State): Step<State>[] {
    const { memory: at, hub } = state;
    const next = (label: string, change: Partial<Hub>, bells = state.bells): Step<State>[] => [
      { label: `hub ${label}`, to: { ...state, bells, hub: { ...hub, ...change } } },
    ];
    const put = (label: string, change: Partial<Hub>, stored: Memory | undefined): Step<State>[] =>
      stored === undefined ? [] : [{ label: `hub ${label}`, to: { ...state, memory: stored, hub: { ...hub, ...change } } }];
    const count = () => Math.floor(load(at, HUB, 'news') / 16);
    const lookAt = (news: Hub['at'], nothing: Hub['at']): Step<State>[] =>
      count() !== hub.taken ? next('sees news', { at: news }) : next('sees no news', { at: nothing });
    const lookAtOverflow = (news: Hub['at'], nothing: Hub['at']): Step<State>[] =>
      load(at, HUB, 'overflow') !== 0 ? next('sees overflow', { at: news }) : next('sees no overflow', { at: nothing });
    switch (hub.at) {
      case 'look':
        return lookAt('take', 'look overflow');
      case 'look overflow':
        return lookAtOverflow('take', 'sleep');
      case 'sleep':
        return put('says that it sleeps', { at: rules.lookAgain ? 'again' : 'blocked' }, store(at, HUB, 'sleeping', 1, rules.sleeping));
      case 'again':
        return lookAt('turn', 'again overflow');
      case 'again overflow':
        return lookAtOverflow('turn', 'blocked');
      case 'blocked':
        return state.bells > 0 ? next('is woken', { at: 'awake' }, state.bells - 1) : [];
      case 'turn': // the loop polls its descriptors without blocking
        return next('turns', { at: 'awake' }, Math.max(state.bells - 1, 0));
      case 'awake':
        return put('is awake', { at: 'look' }, store(at, HUB, 'sleeping', 0, 'ordered'));
      case 'take': {
        const seen = count();
        const waiting = (seen - hub.taken + COUNTS) % COUNTS;
        const places = Array.from({ length: waiting }, (_, i) => (hub.taken + i) % TOKENS);
        const copying = waiting > 1 && waiting <= TOKENS ? places : [];
        const slots = waiting === 1 ? [load(at, HUB, 'news') % 16] : [];
        return next(`takes ${waiting}`, {
          at: rules.copyFirst ? 'copy' : 'taken',
          taken: seen,
          count: seen,
          copying,
          slots,
          all: waiting > TOKENS,
          said: false,
        });
      }
      case 'copy': {
        const [place, ...copying] = hub.copying;
        if (place === undefined) return next('has its tokens', { at: hub.said ? 'all?' : rules.takenFirst ? 'taken' : 'all?' });
        return next(`copies token ${load(at, HUB, `token ${place}`)}`, { copying, slots: [...hub.slots, load(at, HUB, `token ${place}`)] });
      }
      case 'taken': {
        const then = !rules.takenFirst ? 'look' : rules.copyFirst ? 'all?' : 'copy';
        return put('says what is taken', { at: then, said: true }, store(at, HUB, 'taken', hub.count, rules.taken));
      }
      case 'all?':
        return lookAtOverflow('clear', 'deliver');
      case 'clear': {
        const swapped = exchange(at, HUB, 'overflow', 0);
        return put('clears overflow', { at: 'deliver', all: true }, swapped?.memory);
      }
      case 'deliver': {
        const [slot, ...slots] = hub.all ? each : hub.slots;
        if (slot === undefined)
          return next('is done', { at: rules.takenFirst ? 'look' : 'taken', count: hub.count, slots: [], all: false, said: false });
        const cursor = load(at, HUB, `cursor ${slot}`);
        return next(`looks at ${slot}: ${cursor}`, {
          slots: hub.all ? each.slice(1) : slots,
          all: false,
          seen: replaced(hub.seen, slot, cursor),
        });
      }
    }
  }
}
