// switch-state.ts - the agreed switch as a model: its rules, its state, and how its one word is changed.
//
// Two FIFO channels each way (TCP and the Unix socket) and one word in memory that both sides see.

export interface SwitchRules {
  /** The word is changed by compare-and-swap; else there by a look and, later, a store. */
  readonly compareAndSwap: 'always' | 'not at the claim' | 'not for the ring';
  /** The client claims the offer before it says anything of CLC. */
  readonly claimFirst: boolean;
  /** A server whose patience ends before the Proposal came answers it all the same, and only once. */
  readonly answers: 'one' | 'none' | 'two';
  /** ... and takes it before anything else. */
  readonly awaitsProposal: boolean;
  /** A client that has declined after its Proposal takes the server's answer before anything else. */
  readonly awaitsAnswer: boolean;
  /** A server that finds the client's decision for TCP takes its Decline before anything else. */
  readonly awaitsDecline: boolean;
  /** The server's ring, which holds the word, is free for others only when the client has said that it is done with it. */
  readonly elementHeld: boolean;
}

export const SWITCH_RULES: SwitchRules = {
  compareAndSwap: 'always',
  claimFirst: true,
  answers: 'one',
  awaitsProposal: true,
  awaitsAnswer: true,
  awaitsDecline: true,
  elementHeld: true,
};

export type Message = 'proposal' | 'accept' | 'confirm' | 'decline' | 'payload' | 'closed';
export type Word = 'offered' | 'claimed' | 'ring' | 'tcpByClient' | 'tcpByServer';
export type Outcome = 'ring' | 'tcp' | 'failed';

export interface Client {
  readonly at:
    | 'seeking'
    | 'claim'
    | 'answer'
    | 'propose'
    | 'proposed'
    | 'decide'
    | 'confirm'
    | 'refuse'
    | 'give up'
    | 'say decline'
    | 'declined'
    | Outcome;
  /** It was offered a ring and is to say when it is done with it. */
  readonly offer: boolean;
  /** The server has answered its Proposal. */
  readonly answered: boolean;
  readonly looked: Word | '';
  readonly spoken: boolean; // its payload is sent
}

export interface Server {
  readonly at:
    | 'accepted'
    | 'offered'
    | 'give up'
    | 'proposal'
    | 'time out'
    | 'late proposal'
    | 'refuse'
    | 'decline'
    | 'confirm'
    | 'time out of confirm'
    | 'late confirm'
    | Outcome;
  readonly known: boolean; // the client's ring, from its answer on the Unix socket
  readonly looked: Word | '';
  readonly spoken: boolean;
}

export interface State {
  readonly word: Word;
  readonly name: boolean;
  readonly element: 'none' | 'set aside' | 'released' | 'free';
  readonly tcp: { readonly up: readonly Message[]; readonly down: readonly Message[] }; // up: to the server
  readonly unix: { readonly up: readonly ('answer' | 'refuse')[]; readonly down: readonly 'offer'[] };
  readonly refused: boolean;
  readonly client: Client;
  readonly server: Server;
  readonly mistake: string;
}

export const OVER: readonly string[] = ['ring', 'tcp', 'failed'];
export const ANSWERS: readonly Message[] = ['accept', 'decline'];

/** What both sides' steps depend on. `patient`: nobody's patience ends twice in one connection. */
export interface SwitchCase {
  readonly rules: SwitchRules;
  readonly patient: boolean;
}

/** Tries to change the word: what it is then, and what was found. Without the rule first a look, then a store. */
export function decide(
  rules: SwitchRules,
  state: State,
  looked: Word | '',
  from: Word,
  to: Word,
): { looked: Word } | { word: Word; found: Word } {
  const place = from === 'offered' ? 'not at the claim' : 'not for the ring';
  if (rules.compareAndSwap !== place || to === 'tcpByClient' || (to === 'tcpByServer' && from === 'claimed'))
    return state.word === from ? { word: to, found: to } : { word: state.word, found: state.word };
  if (looked === '') return { looked: state.word };
  return looked === from ? { word: to, found: to } : { word: state.word, found: looked };
}
