// 06-piscina-frames.ts - prices of options by a Monte-Carlo simulation on a Piscina pool: parameters go to the workers in
// frames, and their prices come back in frames, in order, with nothing cloned.
//
//   node packages/examples/dist/06-piscina-frames.js

import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { mapFrames, serveFrames } from '@smcjs/core/worker';
import { Piscina } from 'piscina';

const STRIKES = 16;
const MATURITIES = 24;
const PATHS = 20_000;
const RATE = 0.03;
const VOLATILITY = 0.2;
const maturityOf = (index: number): number => (index + 1) / 12;
const strikeOf = (index: number): number => 60 + index * 5;
const types = { input: Float64Array, output: Float64Array };

/** What the workers run. A frame is [maturity, strike, strike, ...]; its answer is one price for each strike. */
export default serveFrames<Float64Array, Float64Array, { paths: number }>(types, async (view, reply, { paths }) => {
  const [maturity = 0, ...strikes] = view;
  const prices = (await reply.reserve(strikes.length)).fill(0); // the memory the main thread will read
  const random = generator(Math.round(maturity * 1000));
  for (let path = 0; path < paths; path++) {
    const price = 100 * Math.exp((RATE - VOLATILITY ** 2 / 2) * maturity + VOLATILITY * Math.sqrt(maturity) * normal(random));
    for (const [i, strike] of strikes.entries()) prices[i] = (prices[i] as number) + Math.max(price - strike, 0) / paths;
  }
  for (const i of prices.keys()) prices[i] = (prices[i] as number) * Math.exp(-RATE * maturity);
});

if (isMainThread) await main();

async function main(): Promise<void> {
  const pool = new Piscina({ filename: fileURLToPath(import.meta.url), minThreads: 2, maxThreads: 2 });
  const started = performance.now();
  let worst = 0;
  for await (const { index, view } of mapFrames(pool, parameters(), { ...types, data: { paths: PATHS } })) {
    // The view is lent until the next one: compare it here with the formula of Black and Scholes.
    const maturity = maturityOf(index);
    for (const [i, price] of view.entries()) worst = Math.max(worst, Math.abs(price - exact(maturity, strikeOf(i))));
    if (index % 6 === 5) console.log(`${maturity.toFixed(2)} years, strike 100: ${view[STRIKES / 2]?.toFixed(2)}`);
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${MATURITIES * STRIKES} prices of ${PATHS} paths on ${pool.threads.length} threads in ${seconds.toFixed(2)} s`);
  console.log(`none is further than ${Math.ceil(worst * 2) / 2} from the exact one`);
  process.exitCode = worst < 1.5 ? 0 : 1;
  await pool.close();
}

function* parameters(): Generator<Float64Array> {
  for (let i = 0; i < MATURITIES; i++) yield Float64Array.of(maturityOf(i), ...Array.from({ length: STRIKES }, (_, k) => strikeOf(k)));
}

/** The price of a call of a share at 100. */
function exact(maturity: number, strike: number): number {
  const deviation = VOLATILITY * Math.sqrt(maturity);
  const up = (Math.log(100 / strike) + (RATE + VOLATILITY ** 2 / 2) * maturity) / deviation;
  return 100 * cumulative(up) - strike * Math.exp(-RATE * maturity) * cumulative(up - deviation);
}

/** Of the normal distribution, by integration. */
function cumulative(x: number): number {
  let sum = 0;
  const steps = 2000;
  for (let i = 0; i < steps; i++) sum += Math.exp(-(((x * (i + 0.5)) / steps) ** 2) / 2);
  return 0.5 + (sum * x) / steps / Math.sqrt(2 * Math.PI);
}

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Of the normal distribution (Box and Muller). */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
