// closing.ts - how a ring connection ends, as a model: half close, close, reset and death of either side, with the TCP
// connection as guard and the link group's notice of loss. RingStream on both sides, SmcdChannel for the rings' reuse.
//
// Each side writes some bytes into a ring of one byte, ends, and reads until the other's end; it may also do what the
// case allows, at any time. That news arrive is the doorbell's model.

import { type At, CLOSING_RULES, type ClosingRules, type May, type Side, type Ring, type State, startOf } from './closing-state.js';
import { type Model, replaced, type Step } from './explore.js';

export { CLOSING_RULES, type ClosingRules, type May };

const CAPACITY = 1;
const OVER: readonly At[] = ['closed', 'dead'];

export function closing(rules: ClosingRules, may: readonly [May, May], bytes: readonly [number, number]): Model<State> {
  return {
    start: startOf(bytes),
    steps: (state) => [0, 1].flatMap((who) => sideSteps(state, who)),
    wrong: ({ mistake }) => (mistake === '' ? undefined : mistake),
    stuck: ({ sides }) => {
      // Who reads nothing may stay open, with what there is to read.
      const open = sides.findIndex(({ at, stalled }) => !OVER.includes(at) && !stalled);
      if (open >= 0) return `side ${open} never closes`;
      const held = sides.findIndex(({ at, retired }) => at === 'closed' && !retired);
      if (held >= 0) return `the ring of side ${held} is never given back`;
      if (may.some((what) => what !== 'end' && what !== 'answer')) return undefined;
      return sides.every(({ read, ended, reset }, who) => ended && !reset && read === bytes[1 - who])
        ? undefined
        : 'an orderly end is not orderly';
    },
  };

  function sideSteps(state: State, who: number): Step<State>[] {
    const me = state.sides[who] as Side;
    const peer = state.sides[1 - who] as Side;
    const tx = state.rings[who] as Ring;
    const rx = state.rings[1 - who] as Ring;
    if (OVER.includes(me.at) && me.at === 'dead') return [];

    const to = (label: string, change: Partial<Side>, rest: Partial<State> = {}): Step<State> => {
      const sides = replaced(rest.sides ?? state.sides, who, { ...me, ...change });
      return { label: `${who} ${label}`, to: { ...state, ...rest, sides } };
    };
    const tell = (change: Partial<Side>) => ({ sides: replaced(state.sides, 1 - who, { ...peer, ...change }) });
    const mistake = (what: string): Step<State> => to('makes a mistake', {}, { mistake: what });
    /** A store into the ring we write, which the peer may have given away; those of a lost link group nobody gets. */
    const put = (label: string, change: Partial<Side>, words: Partial<Ring>): Step<State> =>
      peer.retired && !peer.lost && peer.at !== 'dead'
        ? mistake("a ring is written that is another connection's")
        : to(label, change, { rings: replaced(state.rings, who, { ...tx, ...words }) });

    const steps = act();
    if (may[who] === 'die' && me.at !== 'closed')
      steps.push(to('dies', { at: 'dead' }, tell({ hungUp: rules.guard ? 'fin' : '', lost: true })));
    return steps;

    function act(): Step<State>[] {
      switch (me.at) {
        case 'idle':
          return idle();
        case 'publish':
          return [put('publishes', { at: me.onward, onward: 'idle' }, { producer: me.written })];
        case 'say done':
          return [put('says that it is done', { at: 'tell', finished: true }, { done: true })];
        case 'tell':
          return [to('tells', { at: 'idle' }, tell({ news: true }))];
        case 'drain':
          if (me.stalled) return [to('reads nothing', { at: 'state' })];
          if (rx.producer > me.read && (rules.drainFirst || !me.final)) return [to('reads', { at: 'release', read: rx.producer })];
          return [to('has read what there is', { at: rules.stateFirst ? 'state' : 'last' })];
        case 'release':
          return [
            to(
              'gives room',
              { at: 'more' },
              { ...tell({ news: true }), rings: replaced(state.rings, 1 - who, { ...rx, consumer: me.read }) },
            ),
          ];
        case 'more': {
          const more = rx.producer > me.read || me.final || rx.done || rx.closed || rx.abnormal;
          return [to(more ? 'asks for another callback' : 'has all', { at: 'after', news: me.news || (more && rules.asksAgain) })];
        }
        case 'state': {
          const seen = { reset: me.reset || rx.abnormal, peerClosed: me.peerClosed || rx.closed };
          const over = rx.done || rx.closed || me.final;
          if (!over) return [to('sees no end', { ...seen, at: 'after' })];
          return rules.stateFirst ? [to('sees an end', { ...seen, at: 'last' })] : [end({ ...me, ...seen })];
        }
        case 'last':
          if (rx.producer > me.read && (rules.drainFirst || !me.final)) return [to('sees more bytes', { at: 'after' })];
          return rules.stateFirst ? [end(me)] : [to('sees no more bytes', { at: 'state' })];
        case 'after':
          if (me.ended && me.finished) return [to('is done', { at: 'close' })];
          if (rules.failsWrites && me.peerClosed && me.left > 0) return [to("can't write", { at: 'close', dropped: true })];
          return [to('waits', { at: 'idle' })];
        case 'close': {
          // Unread bytes make it a reset, as on TCP.
          const unread = rx.producer > me.read && !me.peerClosed;
          const abnormal = me.abnormal || unread || (me.reset && rules.tellsReset);
          if (me.written > tx.producer && !me.peerClosed) return [put('publishes', {}, { producer: me.written })];
          const done = rules.resetsWhenDone && (rx.done || rx.closed);
          const rst = me.abnormal || (me.reset && rules.resetsGuard) || done;
          return [to('closes', { at: 'say closed', abnormal, hangsUp: rst ? 'rst' : 'fin' })];
        }
        case 'say closed':
          return [put('says that it is closed', { at: 'tell closed' }, { done: true, closed: true, abnormal: me.abnormal })];
        case 'tell closed':
          return [to('tells', { at: 'retire?' }, rules.tellsClosing ? tell({ news: true }) : {})];
        case 'retire?':
          return [retire('hang up')];
        case 'hang up':
          return [to('hangs up', { at: 'closed' }, rules.guard ? tell({ hungUp: me.hangsUp }) : {})];
        case 'closed':
          if (me.lost && !me.retired) return [to('gives the ring of a lost peer away', { retired: true })];
          if (me.news) return [retire('closed', { news: false })];
          return [];
        case 'dead':
          return [];
      }
    }

    /** One turn of the loop begins with one of these. */
    function idle(): Step<State>[] {
      const choices: Step<State>[] = [];
      if (me.news) choices.push(to('has news', { news: false, at: 'drain' }));
      if (me.hungUp === 'fin' || me.hungUp === 'rst') {
        const inOrder = rules.trustsState && rx.closed && !rx.abnormal;
        const reset = me.reset || (me.hungUp === 'rst' && !inOrder);
        const seen = { final: true, peerClosed: true, waits: me.waits && !rules.guardEndsWait, reset };
        choices.push(to(`is hung up on (${me.hungUp})`, { ...seen, hungUp: 'heard', at: 'drain' }));
      }
      if (me.lost && !me.final && !me.waits && rules.guard)
        choices.push(
          to('loses its link group', { final: !rules.waitsForGuard, waits: rules.waitsForGuard, peerClosed: true, at: 'drain' }),
        );
      // Not while the end of the TCP connection of who is gone is under way: it is there long before.
      if (me.waits && rules.verdict && (me.hungUp === 'heard' || (me.hungUp === '' && peer.at !== 'dead')))
        choices.push(to('has waited long enough', { waits: false, final: true, reset: true, at: 'drain' }));
      if ((may[who] === 'break' || may[who] === 'stall') && !me.broke && !me.lost) {
        const broke = { broke: true, lost: true, final: true, reset: true, peerClosed: true, stalled: may[who] === 'stall' };
        choices.push(to('gives up its link group', { ...broke, at: 'drain' }, tell({ lost: true })));
      }
      if (me.stalled) return choices;
      if (may[who] === 'answer' && !me.ended) return choices;
      if (me.left > 0 && rules.failsWrites && me.peerClosed) choices.push(to("can't write", { at: 'close', dropped: true }));
      else if (me.left > 0 && me.written - tx.consumer < CAPACITY) {
        const wrote = { left: me.left - 1, written: me.written + 1 };
        // Published now or when the turn's JavaScript ends.
        choices.push(to('writes', { ...wrote, at: 'publish', onward: 'tell' }), to('writes, to publish later', wrote));
      }
      if (me.written > tx.producer && !(me.finished || me.peerClosed))
        choices.push(to('publishes at last', { at: 'publish', onward: 'tell' }));
      if (me.left === 0 && !me.finished) choices.push(...finish());
      if (me.finished && me.ended) choices.push(to('is done', { at: 'close' }));
      const unread = { dropped: true };
      if (may[who] === 'destroy') choices.push(to('destroys', { at: 'close', ...unread }));
      if (may[who] === 'reset') choices.push(to('resets', { at: 'close', abnormal: true, ...unread }));
      return choices;
    }

    function finish(): Step<State>[] {
      if (me.peerClosed) return [to('ends towards nobody', { finished: true, at: 'after' })];
      if (me.written === tx.producer) return [to('ends', { at: 'say done' })];
      if (rules.publishFirst) return [to('ends, and publishes', { at: 'publish', onward: 'say done' })];
      return [put('says that it is done', { finished: true, at: 'publish', onward: 'tell' }, { done: true })];
    }

    /** The reader is told the end, or the reset. */
    function end(now: Side): Step<State> {
      if (now.reset) {
        const made = peer.abnormal || peer.reset || me.broke;
        return made ? to('sees a reset', { ...now, at: 'close', ended: false }) : mistake('a reset is told that nobody made');
      }
      if (peer.reset && !peer.finished && peer.at !== 'dead') return mistake('an end is told by a side that was reset');
      const lost = me.read < rx.producer || (peer.at !== 'dead' && !peer.dropped && me.read < peer.written);
      if (lost && !peer.abnormal) return mistake('the end is told before the last byte');
      return to('sees the end', { ...now, ended: true, at: 'after' });
    }

    function retire(then: At, change: Partial<Side> = {}): Step<State> {
      const can = rx.closed || me.lost || !rules.bothClosed;
      return to(can ? 'gives its ring away' : 'keeps its ring for now', { ...change, at: then, retired: me.retired || can });
    }
  }
}
