// measure.ts - one measurement of one transport between two processes. The benchmark's rounds and the demo use it.

import { MeasureError } from './errors.js';
import { laneOf, type Mode, type Touch, type TransportName } from './lanes.js';
import { type Ends, Pairs } from './pair/pair.js';
import type { Result } from './report/results.js';

/** What to measure. */
export interface Request {
  readonly transport: TransportName;
  readonly mode: Mode;
  /** Message size: a multiple of 64. */
  readonly bytes: number;
  /** Request and reply of that size, one after the other; or a writer that does not wait, with one acknowledgement at the end. */
  readonly kind: 'roundtrip' | 'oneway';
  /** Milliseconds to measure. */
  readonly budgetMs: number;
  /** Milliseconds to warm up before, on top: new processes run unoptimised code. Half the budget unless given. */
  readonly warmMs?: number;
  /** Of typed frames. */
  readonly touch?: Touch;
}

/** Where a measurement is: for whoever shows progress. */
export type Progress = (step: 'starting' | 'connecting' | 'warming' | 'measuring' | 'done', request: Request) => void;

/**
 * Measurements in one pair of processes for each transport: what is measured again runs code that is compiled by then. A new process
 * takes a third of a second to come to its full rate over a ring, and longer over TCP.
 */
export class Measurements {
  readonly #pairs = new Pairs();

  /**
   * Every byte is checked by its receiver. The figures are of one run on this machine now: compare figures only with others taken right
   * before or after, as the benchmark's rounds do.
   *
   * @throws MeasureError with `failure`: `unavailable` (the transport cannot be used here, the message says why), `failed`,
   *   or `mismatch` (bytes were lost or changed).
   */
  measure(request: Request, onProgress?: Progress): Promise<Result> {
    return measureIn(this.#pairs.of(laneOf(request.transport, request.mode)), request, onProgress);
  }

  /** Ends the processes. */
  stop(): Promise<void> {
    return this.#pairs.stop();
  }
}

/** In a pair that is already running and stays so. */
export async function measureIn(pair: Ends, request: Request, onProgress?: Progress): Promise<Result> {
  const { kind, bytes, budgetMs } = request;
  if (!(Number.isInteger(bytes) && bytes > 0 && bytes % 64 === 0)) throw new RangeError('bytes must be a positive multiple of 64');
  const touch = request.touch === undefined ? {} : { touch: request.touch };
  const opening = { lane: pair.lane, bytes, ...touch };
  onProgress?.('connecting', request);
  const address = await pair.server.call('listen', { opening, role: kind === 'roundtrip' ? 'echo' : 'sink' });
  await pair.client.call('connect', { opening, address, count: 1 });
  const figures = kind === 'roundtrip' ? await roundTrips(pair, request, onProgress) : await oneWay(pair, request, onProgress);
  await pair.client.call('close', null);
  await pair.server.call('close', null);
  onProgress?.('done', request);
  return { case: kind, transport: pair.lane.transport, mode: pair.lane.mode, bytes, ...touch, ...figures, budget_ms: budgetMs };
}

async function roundTrips(pair: Ends, request: Request, onProgress?: Progress): Promise<Partial<Result>> {
  const { budgetMs, warmMs = budgetMs / 2 } = request;
  onProgress?.('warming', request);
  await pair.client.call('ping', { ms: warmMs }, warmMs);
  onProgress?.('measuring', request);
  const { p50_us, p99_us, count } = await pair.client.call('ping', { ms: budgetMs }, budgetMs);
  return { p50_us, p99_us, samples: count };
}

async function oneWay(pair: Ends, request: Request, onProgress?: Progress): Promise<Partial<Result>> {
  const { bytes, budgetMs, warmMs = budgetMs / 2 } = request;
  onProgress?.('warming', request);
  await pair.client.call('send', { ms: warmMs }, warmMs);
  onProgress?.('measuring', request);
  const before = await pair.server.call('cpu', null);
  const { seconds, messages, cpu_us } = await pair.client.call('send', { ms: budgetMs }, budgetMs);
  // The two threads of one process have said the same.
  const server_us = pair.lane.between === 'threads' ? 0 : (await pair.server.call('cpu', null)) - before;
  if (messages === 0) throw new MeasureError('failed', 'no message was sent');
  const gigabytes = (messages * bytes) / 1e9;
  return {
    msgs_per_s: messages / seconds,
    gb_per_s: gigabytes / seconds,
    cpu_s_per_gb: (cpu_us + server_us) / 1e6 / gigabytes,
    samples: messages,
  };
}
