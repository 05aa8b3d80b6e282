// early-messages.test.ts - CDC messages that come before the Confirm of their connection.

import { expect, it } from 'vitest';
import { CDC_FLAG, type CdcMessage, emptyCdc } from '../src/cdc/index.js';
import { EarlyMessages } from '../src/group/early-messages.js';

const message = (token: number, sequence: number): CdcMessage => ({ ...emptyCdc(), token, sequence });

it('keeps a copy of the newest, also where numbers wrap', () => {
  const early = new EarlyMessages();
  early.expect(7);
  const live = message(7, 0xfffe);
  early.keep(live);
  live.sequence = 1;
  early.keep(live);
  early.keep(message(7, 0xffff));
  expect(early.take(7)).toEqual(message(7, 1));
});

it('does not take a validation for the message whose number it has', () => {
  const early = new EarlyMessages();
  early.expect(7);
  early.keep(message(7, 3));
  early.keep({ ...message(7, 3), flags: CDC_FLAG.failoverValidation });
  expect(early.take(7)).toEqual(message(7, 3));
});

it('ignores tokens that no Accept has named, and forgets those that are taken', () => {
  const early = new EarlyMessages();
  early.keep(message(8, 1));
  expect(early.take(8)).toBeUndefined();
  early.expect(8);
  expect(early.take(8)).toBeUndefined();
  early.keep(message(8, 1));
  expect(early.take(8)).toBeUndefined();
});
