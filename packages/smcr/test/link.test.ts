// link.test.ts - when a link is tested, and when it is given up.

import { expect, it } from 'vitest';
import { Link, LLC_WAIT, TEST_LINK_TIME } from '../src/group/index.js';

function active(): Link {
  const link = new Link(1, 1);
  link.state = 'active';
  link.heard(0);
  return link;
}

it('is tested when nothing was received for a while, and down without an answer', () => {
  const link = active();
  expect(link.tick(TEST_LINK_TIME - 1)).toBeUndefined();
  expect(link.tick(TEST_LINK_TIME)).toBe('test');
  expect(link.tick(TEST_LINK_TIME + LLC_WAIT - 1)).toBeUndefined();
  expect(link.tick(TEST_LINK_TIME + LLC_WAIT)).toBe('dead');
});

it('is tested at once when in doubt, whatever is received from before the doubt', () => {
  const link = active();
  link.suspect();
  link.heard(10);
  expect(link.deadline).toBe(0);
  expect(link.tick(11)).toBe('test');
  link.answered(12);
  expect(link.tick(13)).toBeUndefined();
  expect(link.deadline).toBe(12 + TEST_LINK_TIME);
});

it('a message of a connection counts from the next tick on', () => {
  const link = active();
  link.touch();
  expect(link.tick(TEST_LINK_TIME)).toBeUndefined();
  expect(link.deadline).toBe(2 * TEST_LINK_TIME);
  expect(link.tick(2 * TEST_LINK_TIME)).toBe('test');
  // Nor is it an answer.
  link.touch();
  expect(link.tick(2 * TEST_LINK_TIME + LLC_WAIT)).toBe('dead');
});
