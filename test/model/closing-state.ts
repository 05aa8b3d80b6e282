// closing-state.ts - what the model of closing consists of: its rules, what a side may do, and the state of both.

export interface ClosingRules {
  /** Bytes are published before the state says that no more follow. */
  readonly publishFirst: boolean;
  /** The reader looks at the state, then once more for bytes. */
  readonly stateFirst: boolean;
  /** A lost peer's bytes are read before its end is told. */
  readonly drainFirst: boolean;
  /** After one chunk the reader asks for another callback if there is anything more, an end too. */
  readonly asksAgain: boolean;
  /** Closing is told by the doorbell. */
  readonly tellsClosing: boolean;
  /** A writer is told that the peer reads nothing more. */
  readonly failsWrites: boolean;
  /** The TCP connection's end is the peer's. */
  readonly guard: boolean;
  /** Who loses the link group lets the TCP connection say how the peer ended. */
  readonly waitsForGuard: boolean;
  /** A peer that keeps its TCP connection open after that has broken off. */
  readonly verdict: boolean;
  /** What the TCP connection said is not changed by that verdict any more. */
  readonly guardEndsWait: boolean;
  /** Who was reset says so in its state when it closes... */
  readonly tellsReset: boolean;
  /** ...and resets its TCP connection. */
  readonly resetsGuard: boolean;
  /** Who closes when the peer is done ends the TCP connection by RST, which needs no TIME_WAIT... */
  readonly resetsWhenDone: boolean;
  /** ...and means nothing behind a state that says closed in order. */
  readonly trustsState: boolean;
  /** A ring is given to another connection only when both sides have closed this one, or the peer is lost. */
  readonly bothClosed: boolean;
}

export const CLOSING_RULES: ClosingRules = {
  publishFirst: true,
  stateFirst: true,
  drainFirst: true,
  asksAgain: true,
  tellsClosing: true,
  failsWrites: true,
  guard: true,
  waitsForGuard: true,
  verdict: true,
  guardEndsWait: true,
  tellsReset: true,
  resetsGuard: true,
  resetsWhenDone: true,
  trustsState: true,
  bothClosed: true,
};

/**
 * What a side may do besides writing everything and ending: destroy its socket, reset it, die, give up its link group, or do
 * that while its user reads nothing. One that answers writes and ends when it has read the other's end.
 */
export type May = 'end' | 'answer' | 'destroy' | 'reset' | 'die' | 'break' | 'stall';

export type At =
  | 'idle'
  | 'publish'
  | 'say done'
  | 'tell'
  | 'drain'
  | 'release'
  | 'more'
  | 'state'
  | 'last'
  | 'after'
  | 'close'
  | 'say closed'
  | 'tell closed'
  | 'retire?'
  | 'hang up'
  | 'closed'
  | 'dead';

export interface Side {
  readonly at: At;
  /** Where it goes on after publishing. */
  readonly onward: At;
  readonly left: number; // bytes still to write
  readonly written: number;
  readonly read: number;
  readonly finished: boolean; // its half is closed
  readonly ended: boolean; // the other half is
  readonly reset: boolean;
  readonly peerClosed: boolean;
  readonly final: boolean; // what is in the ring is all there will be
  readonly waits: boolean; // for the TCP connection to say how the lost peer ended
  readonly broke: boolean; // gave up the link group
  readonly stalled: boolean; // its user reads nothing
  readonly abnormal: boolean; // how it closes
  readonly hangsUp: 'fin' | 'rst'; // how its TCP connection does
  readonly dropped: boolean; // it gave up before it had read everything
  readonly retired: boolean; // the ring it reads is another connection's
  // what has reached it
  readonly news: boolean;
  readonly hungUp: '' | 'fin' | 'rst' | 'heard';
  readonly lost: boolean;
}

/** The ring a side writes: words in memory. */
export interface Ring {
  readonly producer: number;
  readonly consumer: number;
  readonly done: boolean;
  readonly closed: boolean;
  readonly abnormal: boolean;
}

export interface State {
  readonly sides: readonly Side[];
  readonly rings: readonly Ring[];
  readonly mistake: string;
}

export function startOf(bytes: readonly [number, number]): State {
  const side = (left: number): Side => ({
    at: 'idle',
    onward: 'idle',
    left,
    written: 0,
    read: 0,
    finished: false,
    ended: false,
    reset: false,
    peerClosed: false,
    final: false,
    waits: false,
    broke: false,
    stalled: false,
    abnormal: false,
    hangsUp: 'fin',
    dropped: false,
    retired: false,
    news: false,
    hungUp: '',
    lost: false,
  });
  const ring: Ring = { producer: 0, consumer: 0, done: false, closed: false, abnormal: false };
  return { sides: bytes.map(side), rings: [ring, ring], mistake: '' };
}
