// arguments.test.ts - calls of the adapters with something missing or wrong: an error that says what, thrown by the call.

import type { ChannelEnd } from '@smcjs/core/channel';
import { fromBatches, fromFrames, fromRecords, sendFramesTo, sendTo } from '@smcjs/core/rxjs';
import { type MapFramesOptions, mapFrames, mapFramesSettled, serveChannel, serveFrames, streamTask } from '@smcjs/core/worker';
import type { Piscina } from 'piscina';
import { describe, expect, it } from 'vitest';
import { refusal } from '../support/refusal.js';
import { both } from '../threads/pair.js';
import { doubles, numbered, poolOf } from './pool.js';

const none = undefined as never;

describe('Observables: an argument that is missing or wrong is named by the call, not to a subscriber', () => {
  const wrong: [what: string, call: (end: ChannelEnd) => unknown, words: string[]][] = [
    ['records of nothing', () => fromRecords(none), ['fromRecords: end', 'undefined']],
    ['records of no connection', () => fromRecords({} as never), ['fromRecords: end', '{}']],
    ['records with no function', (end) => fromRecords(end, 5 as never), ['fromRecords: project', '5']],
    ['batches of no connection', () => fromBatches({} as never), ['fromBatches: end', '{}']],
    ['batches of no records', (end) => fromBatches(end, 0), ['fromBatches: limit', '0']],
    ['batches with the function in place of the limit', (end) => fromBatches(end, (() => []) as never), ['fromBatches: limit']],
    ['frames of no connection', () => fromFrames({} as never, Float32Array), ['fromFrames: end', '{}']],
    ['frames without a type', (end) => fromFrames(end, none), ['fromFrames: type', 'undefined']],
    ['frames with no function', (end) => fromFrames(end, Float32Array, {} as never), ['fromFrames: project', '{}']],
    ['frames with no options', (end) => fromFrames(end, Float32Array, undefined, null as never), ['fromFrames: options', 'null']],
    ['sending into nothing', () => sendTo(none), ['sendTo: end', 'undefined']],
    ['sending with no options', (end) => sendTo(end, null as never), ['sendTo: options', 'null']],
    ['sending by an overflow there is not', (end) => sendTo(end, { overflow: 'wait' as never }), ['sendTo: overflow', "'wait'"]],
    ['sending with a buffer that cannot be', (end) => sendTo(end, { buffer: -1 }), ['sendTo: buffer', '-1']],
    ['sending with an end that is neither', (end) => sendTo(end, { end: 'no' as never }), ['sendTo: end', "'no'"]],
    ['sending nothing', (end) => sendTo(end)(none), ['sendTo: source', 'undefined']],
    ['sending frames into no connection', () => sendFramesTo({} as never, Float32Array), ['sendFramesTo: end', '{}']],
    ['sending frames without a type', (end) => sendFramesTo(end, none), ['sendFramesTo: type', 'undefined']],
  ];

  for (const [what, call, words] of wrong) {
    it(what, () => {
      const [end] = both();
      expect(() => call(end)).toThrow(refusal(...words));
    });
  }
});

describe('pools: an argument that is missing or wrong is named by the call, before a task is run', () => {
  type Options = MapFramesOptions<Float64Array, Float64Array>;
  const map = (options: Partial<Options>) => (pool: Piscina) => mapFrames(pool, numbered(1), { ...doubles, ...options });
  const wrong: [what: string, call: (pool: Piscina) => unknown, words: string[]][] = [
    ['a map by nothing', () => mapFrames(none, none, none), ['mapFrames: pool', 'undefined']],
    ['a map by no pool', () => mapFrames({} as never, numbered(1), doubles), ['mapFrames: pool', '{}']],
    ['a map of nothing', (pool) => mapFrames(pool, none, doubles), ['mapFrames: source', 'undefined']],
    ['a map of a number', (pool) => mapFrames(pool, 5 as never, doubles), ['mapFrames: source', '5']],
    ['a map without types', (pool) => mapFrames(pool, numbered(1), none), ['mapFrames: options', 'undefined']],
    ['a map without the input', map({ input: none }), ['mapFrames: input', 'undefined']],
    ['a map without the output', map({ output: none }), ['mapFrames: output', 'undefined']],
    ['a map with nothing ahead', map({ ahead: 0 }), ['mapFrames: ahead', '0']],
    ['a map by half a task', map({ concurrency: 0.5 }), ['mapFrames: concurrency', '0.5']],
    ['a map over a ring that cannot be', map({ ringSize: 100_000 }), ['ringSize', '100000']],
    ['a map in an order that is neither', map({ ordered: 'yes' as never }), ['mapFrames: ordered', "'yes'"]],
    ['a map with a controller for its signal', map({ signal: new AbortController() as never }), ['mapFrames: signal']],
    ['a map that polls in no known way', map({ busyPoll: 'sometimes' as never }), ['busyPoll', "'sometimes'"]],
    ['a map with errors in their places, without types', (pool) => mapFramesSettled(pool, [], none), ['mapFramesSettled: options']],
    ['a task of no pool', () => streamTask({} as never, 0), ['streamTask: pool', '{}']],
    ['a task with no options', (pool) => streamTask(pool, 0, null as never), ['streamTask: options', 'null']],
    ['a worker function without types', () => serveFrames(none, () => undefined), ['serveFrames: types', 'undefined']],
    ['a worker function without a type', () => serveFrames({ input: Int8Array, output: none }, () => undefined), ['types.output']],
    ['a worker function without a handler', () => serveFrames(doubles, none), ['serveFrames: handler', 'undefined']],
    ['a worker function of a channel without a handler', () => serveChannel(none), ['serveChannel: handler', 'undefined']],
  ];

  for (const [what, call, words] of wrong) {
    it(what, () => {
      const pool = poolOf();
      expect(() => call(pool)).toThrow(refusal(...words));
      expect(pool.completed + pool.queueSize).toBe(0);
    });
  }
});
