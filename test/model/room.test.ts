// room.test.ts - a writer that waits for room is always told of it, in any interleaving; and each rule is needed.

import { describe, it } from 'vitest';
import { fails, holds } from './expect.js';
import { ROOM_RULES, type RoomCase, type RoomRules, room } from './room.js';

const STREAM: RoomCase = { capacity: 2, total: 6, wanted: 1, unblocks: 'at the end' };
const SURFACE: RoomCase = { capacity: 4, total: 12, wanted: 3, unblocks: 'on news' };

describe('a full ring', () => {
  it('never keeps a stream waiting that has room', () => {
    holds('room, stream', room(ROOM_RULES, STREAM));
  });

  it('never keeps a reservation waiting that has room', () => {
    holds('room, reservations', room(ROOM_RULES, SURFACE));
  });

  const needed: readonly (readonly [what: string, without: Partial<RoomRules>])[] = [
    ['the consumer cursor is stored plainly', { consumer: 'plain' }],
    ['`write blocked` is stored plainly', { blocked: 'plain' }],
    ['the writer does not look again', { lookAgain: false }],
    ['the reader looks for a waiting writer before it gives room back', { releaseFirst: false }],
    ['the writer waits with unpublished bytes', { publishFirst: false }],
  ];
  for (const [what, without] of needed) {
    it(`keeps a stream waiting when ${what}`, () => {
      fails(what, room({ ...ROOM_RULES, ...without }, STREAM), /^the writer waits at wait/);
    });
  }
});
