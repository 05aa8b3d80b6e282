// write-notices.test.ts - when what came from the peer waits for who was called back, and that it never waits for long.

import { expect, it } from 'vitest';
import { WriteNotices } from '../src/socket/write-notices.js';
import type { Channel } from '../src/transport/channel.js';

/** Of a channel, what is looked at. */
function watched(immediates?: boolean) {
  const state = { turn: 1, immediates, asked: 0, again: () => void state.asked++ };
  return { state, notices: new WriteNotices(state as unknown as Channel) };
}

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('nothing waits without a write', () => {
  expect(watched(true).notices.clear).toBe(true);
});

it('what comes in the turn of a write waits for an immediate, and is looked at again', async () => {
  const { state, notices } = watched(false);
  const ran: string[] = [];
  notices.ended();
  setImmediate(() => ran.push('of the caller'));
  expect([notices.clear, notices.clear]).toEqual([false, false]);
  await immediate();
  expect([ran, state.asked]).toEqual([['of the caller'], 1]);
  expect([notices.clear, notices.clear]).toEqual([true, true]);
});

it('what comes in a later turn waits only if there may be immediates', async () => {
  for (const [immediates, clear] of [
    [false, true],
    [true, false],
    [undefined, false],
  ] as const) {
    const { state, notices } = watched(immediates);
    notices.ended();
    state.turn++;
    expect(notices.clear).toBe(clear);
    await immediate();
    expect(state.asked).toBe(clear ? 0 : 1);
    expect(notices.clear).toBe(true);
  }
});

it('a write that ends meanwhile is waited for, too; but who always writes reads all the same', async () => {
  const { state, notices } = watched(true);
  let waits = 0;
  for (notices.ended(); !notices.clear; waits++) {
    notices.ended();
    state.turn++;
    await immediate();
  }
  expect([waits, state.asked]).toEqual([8, 8]);
  expect(notices.clear).toBe(true);
});

it('a socket that is closed asks for nothing', async () => {
  const { state, notices } = watched(true);
  notices.ended();
  expect(notices.clear).toBe(false);
  notices.close();
  await immediate();
  expect(state.asked).toBe(0);
});
