// held-messages.test.ts - messages of a connection that wait for what a failed link still brings.

import { describe, expect, it } from 'vitest';
import { CDC_FLAG, type CdcMessage, emptyCdc } from '../src/cdc/index.js';
import { NEWS } from '../src/connection/index.js';
import { GAP_WAIT, HeldMessages, MOST_HELD } from '../src/group/held-messages.js';
import { Link } from '../src/group/index.js';
import { pair } from './connection-pair.js';

const message = (fields: Partial<CdcMessage>): CdcMessage => ({ ...emptyCdc(), token: 1, ...fields });
const validation = message({ sequence: 2, flags: CDC_FLAG.failoverValidation });
const data = (sequence: number) => message({ sequence, producerOffset: 10 * sequence });
const numbers = (messages: readonly CdcMessage[] | undefined) => messages?.map(({ sequence }) => sequence);

function waiting() {
  const [{ connection }] = pair();
  const held = new HeldMessages();
  const links = [new Link(1, 1), new Link(2, 2)] as const;
  connection.receive(data(1));
  expect(held.holds(connection, links[1], validation, 0)).toBe(true);
  return { connection, held, failed: links[0], link: links[1] };
}

describe('messages over the new link', () => {
  it('do not wait when nothing is missing', () => {
    const { connection, held, link } = waiting();
    connection.receive(data(2));
    expect(numbers(held.release(connection, 0))).toEqual([2]);
    expect(held.holds(connection, link, validation, 0)).toBe(false);
    expect(held.release(connection, 0)).toBeUndefined();
  });

  it('wait, in order and as they were, until the failed link brought what is missing', () => {
    const { connection, held, failed, link } = waiting();
    const next = data(3);
    expect(held.holds(connection, link, next, 0)).toBe(true);
    next.sequence = 99;
    expect(held.release(connection, GAP_WAIT - 1)).toBeUndefined();
    expect(held.holds(connection, failed, data(2), 0)).toBe(false);
    connection.receive(data(2));
    expect(numbers(held.release(connection, 1))).toEqual([2, 3]);
  });

  it('wait no longer than half a second; then it is a gap', () => {
    const { connection, held } = waiting();
    const [first] = held.release(connection, GAP_WAIT) ?? [];
    expect(connection.receive(first as CdcMessage)).toBe(NEWS.gap | NEWS.state);
  });

  it('are not kept without end; then it is a gap, too, and none is skipped', () => {
    const { connection, held, link } = waiting();
    for (let i = 0; i < MOST_HELD; i++) {
      expect(held.release(connection, 0)).toBeUndefined();
      expect(held.holds(connection, link, data(3), 0)).toBe(true);
    }
    const [first, ...rest] = held.release(connection, 0) ?? [];
    expect([rest.length, connection.receive(first as CdcMessage)]).toEqual([MOST_HELD, NEWS.gap | NEWS.state]);
  });
});
