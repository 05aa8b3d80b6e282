// plan.ts - how long everything takes: the full run, and a quick one that ends within 90 seconds on two slow cores.

export interface Plan {
  rounds: number;
  /** Milliseconds measured per lane and size, after a quarter of that to warm up. */
  roundtripMs: number;
  onewayMs: number;
  /** Milliseconds to warm up in the first round. */
  firstWarmMs: number;
  /** Short rounds of traffic before those that count. */
  warmRounds: number;
  floorMs: number;
  /** New client processes per lane, and milliseconds of later connections. */
  firstContacts: number;
  connectMs: number;
  /** Milliseconds per lane and number of connections. */
  httpMs: number;
  httpRounds: number;
  fallbackPairs: number;
  fallbackMs: number;
  politeMs: number;
  politeRounds: number;
  idleMs: number;
  /** Milliseconds of traffic per lane and number of connections. */
  manyMs: number;
  manyRounds: number;
  /** Before that, at most so many until every ring has been written once; 0 where there is no time for it. */
  manyLapMs: number;
  onecoreMs: number;
  onecoreRounds: number;
  /** Milliseconds per lane and direction; per lane and way to touch; per lane. */
  threadsMs: number;
  framesMs: number;
  poolMs: number;
  /** Of threads, frames and pools. */
  threadsRounds: number;
  /** A case that has run this long starts no further round. */
  caseLimitMs: number;
}

export const FULL: Plan = {
  rounds: 7,
  roundtripMs: 250,
  onewayMs: 250,
  firstWarmMs: 250,
  warmRounds: 0,
  floorMs: 300,
  firstContacts: 9,
  connectMs: 600,
  httpMs: 600,
  httpRounds: 5,
  fallbackPairs: 11,
  fallbackMs: 400,
  politeMs: 2000,
  politeRounds: 5,
  idleMs: 10_000,
  manyMs: 700,
  manyRounds: 5,
  manyLapMs: 20_000,
  onecoreMs: 400,
  onecoreRounds: 5,
  threadsMs: 250,
  framesMs: 300,
  poolMs: 400,
  threadsRounds: 9,
  caseLimitMs: 600_000,
};

/**
 * In the test guest: processors are emulated, and code takes thousands of round trips until it is compiled for good. A few connections
 * have ended before that, or it would all be compiled once more in the rounds that count, for what had not happened before.
 */
export const GUEST: Plan = { ...FULL, rounds: 7, warmRounds: 4, roundtripMs: 1500, onewayMs: 1500, firstWarmMs: 20_000 };

export const QUICK: Plan = {
  rounds: 3,
  roundtripMs: 40,
  onewayMs: 40,
  firstWarmMs: 80,
  warmRounds: 0,
  floorMs: 60,
  firstContacts: 3,
  connectMs: 100,
  httpMs: 120,
  httpRounds: 2,
  fallbackPairs: 3,
  fallbackMs: 120,
  politeMs: 400,
  politeRounds: 3,
  idleMs: 5000,
  manyMs: 250,
  manyRounds: 2,
  manyLapMs: 0,
  onecoreMs: 120,
  onecoreRounds: 2,
  threadsMs: 40,
  framesMs: 60,
  poolMs: 100,
  threadsRounds: 2,
  caseLimitMs: 12_000,
};
