// pool-worker.ts - the worker file of the pools in these tests: each export is a worker function.

import { setTimeout as delay } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { batches, frames, sendAll } from '@smcjs/core/channel';
import { serveChannel, serveFrames } from '@smcjs/core/worker';

const doubles = { input: Float64Array, output: Float64Array };

/** What every map here computes of a frame. */
export const computed = (frame: Float64Array): Float64Array => frame.map((value) => value * 2 + 1);

export const copying = serveFrames(doubles, (view) => computed(view));

export const reserving = serveFrames(doubles, async (view, reply) => {
  (await reply.reserve(view.length)).set(computed(view));
});

/** The answer is the frame. */
export const inPlace = serveFrames<Float64Array, Float64Array, { dies?: number }>(doubles, (view, _reply, data) => {
  const dies = data?.dies !== undefined && view[0] === data.dies;
  view.set(computed(view));
  if (dies) process.exit(6);
  return view;
});

/** Says in `data.computed` how many there were. */
export const counting = serveFrames<Float64Array, Float64Array, { computed: Int32Array }>(doubles, (view, _reply, { computed: count }) => {
  Atomics.add(count, 0, 1);
  return Float64Array.of(view[0] ?? 0);
});

/** In all manners: the length of the frame says which. */
export const changing = serveFrames<Float64Array, Float64Array>(doubles, async (view, reply) => {
  const answer = computed(view);
  if (view.length % 4 === 0) return answer;
  if (view.length % 4 === 1) return void (await reply.reserve(view.length)).set(answer);
  view.set(answer);
  if (view.length % 4 === 2) await delay(0);
  return view;
});

/** Careless, and works as long as there is room. */
export const floating = serveFrames(doubles, (view, reply) => {
  void reply.reserve(view.length).then((answer) => answer.set(computed(view)));
  return undefined;
});

/** Does what the first element says. Whose thread it was is the last element of the answer. */
export const obeying = serveFrames<Float64Array, Float64Array, { slow?: number }>(doubles, async (view, reply, data) => {
  const [order = 0] = view;
  if (order === -1) throw new RangeError('told to throw');
  if (order === -2) process.exit(3);
  if (order === -3) await reply.reserve(view.length).then(() => process.exit(4));
  if (order === -4) return Float32Array.of(1) as never;
  if (order === -5) for (;;) Atomics.load(new Int32Array(1), 0);
  if (order === -7) await delay(500).then(() => process.exit(3));
  if (order === -6) await reply.reserve(10 ** 9);
  if (data?.slow !== undefined) await delay(data.slow * (order % 3));
  const answer = await reply.reserve(view.length + 1);
  answer.set(computed(view));
  answer[view.length] = threadId;
});

export const sums = serveFrames({ input: Float32Array, output: Uint32Array }, (view) => {
  let sum = 0;
  for (const value of view) sum += value;
  return Uint32Array.of(sum);
});

/** Reserves an answer, and returns the frame all the same. */
export const doubled = serveFrames(doubles, async (view, reply) => {
  await reply.reserve(1);
  return view;
});

export const silent = serveFrames(doubles, async () => {});

export const floats = serveFrames({ input: Float32Array, output: Float32Array }, (view) => view.slice());

/** Gives records back, then says how many there were. */
export const echo = serveChannel(async (end, data) => {
  let count = 0;
  for await (const batch of batches(end)) {
    count += batch.length;
    await sendAll(end, batch);
  }
  return { count, data };
});

/** Sends as many frames as there is room for, for ever, and tells at the end how many those were. */
export const producer = serveChannel(async (end, counter: Int32Array) => {
  const out = frames(end, Float64Array);
  for (let sent = 0; await out.writable(100); sent++) {
    const frame = out.reserve(100);
    frame?.view.fill(sent);
    frame?.commit();
    Atomics.add(counter, 0, 1);
  }
  return 'left';
});

/** Sends bytes by the stream side, more than the ring holds, and returns at once. */
export const bytes = serveChannel((end, length: number) => {
  end.write(Buffer.alloc(length, 7));
  return length;
});

export const throwing = serveChannel(async (end) => {
  await sendAll(end, [Buffer.from('before')]);
  throw new TypeError('on purpose');
});

export const plain = (value: number): number => value + 1;

/** Says it runs, and is gone before anything can be given to it. */
export const fleeting = serveFrames(doubles, () => undefined);
if (process.env.SMC_TEST_FLEETING) setTimeout(() => process.exit(5), 0);
