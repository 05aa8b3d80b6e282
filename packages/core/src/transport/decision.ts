// decision.ts - the agreed switch: one word in the ring's header settles whether a connection uses ring or TCP.
//
// The word lives in the server's receive ring. It is only ever changed by compare-and-swap, and both sides obey what
// they read back, so a time-out on one side and progress on the other cannot split the decision:
//
//   offered ----client----> claimed ----client, after Accept----> ring
//      |                       |  \
//      | server, time-out      |   client, time-out or refusal --> tcpByClient
//      v                       v
//   tcpByServer  <---- server, time-out or refusal
//
// What follows on the TCP connection is a function of the word, so nobody has to guess where payload starts:
//   offered     the client has sent no CLC message, and sends none if the word becomes tcpByServer from here;
//   claimed     the client's Proposal is on its way; the server answers it exactly once (Accept or Decline);
//   tcpByServer the client sends nothing more of CLC;
//   tcpByClient the client's Decline is on its way;
//   ring        the client's Confirm is on its way.
// test/model explores every interleaving of both sides with a time-out at every step.

import { WORD } from '../ring/layout.js';
import { compareExchange, load, type Words } from '../ring/words.js';

export const DECISION = { offered: 0, claimed: 1, ring: 2, tcpByClient: 3, tcpByServer: 4 } as const;
export type Decision = (typeof DECISION)[keyof typeof DECISION];

/** Tries one step of the diagram; returns the value that now stands. Any other number than a DECISION is a violation. */
export function decide(words: Words, from: Decision, to: Decision): number {
  const found = compareExchange(words, WORD.decision, from, to);
  return found === from ? to : found;
}

export function decision(words: Words): number {
  return load(words, WORD.decision);
}
