// close-state.test.ts - the table of close states: the transitions RFC 7609 and Linux name, and every interleaving of two ends.

import { describe, expect, it } from 'vitest';
import { CDC_STATE } from '../src/cdc/index.js';
import { type CloseEvent, CloseStates } from '../src/connection/index.js';

const { sendingDone: DONE, closed: CLOSED, abnormal: ABORT } = CDC_STATE;

function after(...events: CloseEvent[]): [state: string, sent: number] {
  const states = new CloseStates();
  for (const event of events) states.step(event);
  return [states.state, states.sent];
}

describe('a closing connection', () => {
  it.each<[CloseEvent[], string, number]>([
    [['shutdown'], 'peerCloseWait1', DONE],
    [['shutdown', 'peer-done'], 'peerCloseWait2', DONE],
    [['shutdown', 'peer-done', 'close'], 'peerCloseWait2', DONE | CLOSED],
    [['shutdown', 'peer-done', 'close', 'peer-closed'], 'closed', DONE | CLOSED],
    [['shutdown', 'peer-closed'], 'appFinCloseWait', DONE],
    [['shutdown', 'peer-closed', 'close'], 'closed', DONE | CLOSED],
    [['close'], 'peerCloseWait1', CLOSED],
    [['close', 'peer-closed'], 'closed', CLOSED],
    [['peer-done'], 'appCloseWait1', 0],
    [['peer-done', 'shutdown'], 'appCloseWait2', DONE],
    [['peer-done', 'shutdown', 'close'], 'peerFinCloseWait', DONE | CLOSED],
    [['peer-done', 'shutdown', 'close', 'peer-closed'], 'closed', DONE | CLOSED],
    [['peer-closed', 'close'], 'closed', CLOSED],
    [['abort', 'peer-abort'], 'closed', ABORT],
    [['peer-abort'], 'processAbort', ABORT],
    [['peer-abort', 'close'], 'closed', ABORT],
    [['shutdown', 'peer-abort'], 'processAbort', DONE | ABORT],
    [['lost'], 'closed', 0],
    [['close', 'lost'], 'closed', CLOSED],
  ])('after %j is in %s', (events, state, sent) => {
    expect(after(...events)).toEqual([state, sent]);
  });

  it('gets to closed at both ends, however the two ends close and the messages cross', () => {
    const programs: CloseEvent[][] = [['close'], ['shutdown', 'close'], ['abort'], ['shutdown', 'abort']];
    let ends = 0;
    for (const left of programs) {
      for (const right of programs) {
        ends += explore(left, right);
      }
    }
    expect(ends).toBeGreaterThan(programs.length ** 2);
  });
});

interface World {
  readonly states: readonly [CloseStates, CloseStates];
  readonly programs: readonly [CloseEvent[], CloseEvent[]];
  /** State bits underway to each end. */
  readonly wires: readonly [number[], number[]];
}

const copy = (from: CloseStates): CloseStates => Object.assign(new CloseStates(), from);

/** Every interleaving; returns how many end. */
function explore(left: CloseEvent[], right: CloseEvent[]): number {
  const seen = new Set<string>();
  let ends = 0;
  const visit = (world: World): void => {
    const key = JSON.stringify(world);
    if (seen.has(key)) return;
    seen.add(key);
    const moves = [0, 1].flatMap((at) => {
      const out: World[] = [];
      const act = (change: (it: CloseStates, reply: (bits: number) => void) => void, rest: Partial<World>): void => {
        const states = world.states.map(copy) as unknown as [CloseStates, CloseStates];
        const wires = (rest.wires ?? world.wires).map((wire) => [...wire]) as unknown as [number[], number[]];
        change(states[at] as CloseStates, (bits) => void wires[1 - at]?.push(bits));
        out.push({ programs: world.programs, ...rest, states, wires });
      };
      const [next, ...later] = world.programs[at] as CloseEvent[];
      if (next !== undefined) {
        const programs = at === 0 ? ([later, world.programs[1]] as const) : ([world.programs[0], later] as const);
        act((it, reply) => it.step(next) && reply(it.sent), { programs });
      }
      const [bits, ...rest] = world.wires[at] as number[];
      if (bits !== undefined) {
        const wires = at === 0 ? ([rest, world.wires[1]] as const) : ([world.wires[0], rest] as const);
        act(
          (it, reply) => {
            const fresh = bits & ~it.received;
            let due = false;
            if ((fresh & DONE) !== 0) due = it.step('peer-done') || due;
            if ((fresh & ABORT) !== 0) due = it.step('peer-abort') || due;
            else if ((fresh & CLOSED) !== 0) due = it.step('peer-closed') || due;
            if (due) reply(it.sent);
          },
          { wires },
        );
      }
      return out;
    });
    if (moves.length === 0) {
      ends++;
      expect([...world.states.map(({ state }) => state), left, right]).toEqual(['closed', 'closed', left, right]);
    }
    for (const move of moves) visit(move);
  };
  visit({ states: [new CloseStates(), new CloseStates()], programs: [left, right], wires: [[], []] });
  return ends;
}
