// switch.test.ts - both sides of a connection end on the same transport, whatever times out when, and what follows on TCP
// is never taken for something else; and each rule is needed.

import { describe, expect, it } from 'vitest';
import { fails, holds } from './expect.js';
import { agreedSwitch, SWITCH_RULES, type SwitchRules } from './switch.js';

type End = Parameters<NonNullable<ReturnType<typeof agreedSwitch>['stuck']>>[0];
const outcomes = (ends: readonly End[]): string[] => [...new Set(ends.map(({ client, server }) => `${client.at}, ${server.at}`))].sort();

describe('the agreed switch', () => {
  it('ends on one transport when nobody is too late twice', () => {
    const { ends } = holds('switch, patient', agreedSwitch(SWITCH_RULES, { patient: true }));
    expect(outcomes(ends)).toEqual(['ring, ring', 'tcp, tcp']);
  });

  it('ends on one transport or in an error, whatever times out', () => {
    const { ends } = holds('switch, impatient', agreedSwitch(SWITCH_RULES, { patient: false }));
    expect(outcomes(ends)).toEqual(['failed, failed', 'failed, tcp', 'ring, ring', 'tcp, failed', 'tcp, tcp']);
  });

  const needed: readonly (readonly [what: string, without: Partial<SwitchRules>, how: RegExp])[] = [
    ['is split when the decision is stored and not swapped', { compareAndSwap: 'not for the ring' }, /^split decision/],
    [
      'mistakes a Proposal for payload when the claim is stored and not swapped',
      { compareAndSwap: 'not at the claim' },
      /takes proposal for payload/,
    ],
    ['mistakes a Proposal for payload when the client does not claim first', { claimFirst: false }, /takes proposal for payload/],
    ['mistakes payload for an answer when a late Proposal has none', { answers: 'none' }, /takes payload for an answer/],
    ['mistakes an answer for payload when there are two', { answers: 'two' }, /takes decline for payload/],
    ['mistakes a Proposal for payload when the server does not wait for it', { awaitsProposal: false }, /takes proposal for payload/],
    ['mistakes an answer for payload when the client does not wait for it', { awaitsAnswer: false }, /takes (accept|decline) for payload/],
    ['mistakes a Decline for payload when the server does not wait for it', { awaitsDecline: false }, /takes decline for payload/],
    ["looks at another connection's word when the ring is given away too early", { elementHeld: false }, /another connection's/],
  ];
  for (const [what, without, how] of needed) {
    it(what, () => {
      fails(what, agreedSwitch({ ...SWITCH_RULES, ...without }, { patient: true }), how);
    });
  }
});
