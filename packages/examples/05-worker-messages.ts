// 05-worker-messages.ts - two threads of one process, on every operating system: messages to a worker and back, then frames
// of numbers that the worker computes in the memory where this thread adds them up.
//
//   node packages/examples/dist/05-worker-messages.js

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { batches, createChannel, frames, open, openBlocking, sendAll, type WorkerPort } from '@smcjs/core/channel';

const MESSAGES = 100_000;
const FRAMES = 500;
const FLOATS = 65_536;

interface Ports {
  readonly words: WorkerPort;
  readonly numbers: WorkerPort;
}

if (isMainThread) await main();
else await work(workerData as Ports);

async function main(): Promise<void> {
  const words = createChannel();
  // Room for several frames: each may take up to half the ring.
  const numbers = createChannel({ ringSize: 4 * 1024 * 1024 });
  const ports: Ports = { words: words.port2, numbers: numbers.port2 };
  // A port is plain data; its bell has to be in the transfer list.
  new Worker(new URL(import.meta.url), { workerData: ports, transferList: [ports.words.bell, ports.numbers.bell] });

  const started = performance.now();
  const end = open(words.port1, { allowHalfOpen: true });
  const sending = (async () => {
    const hundred = Array.from({ length: 100 }, (_, i) => Buffer.from(`message ${i}`));
    for (let sent = 0; sent < MESSAGES; sent += hundred.length) await sendAll(end, hundred); // waits while the ring is full
    end.end();
  })();
  let answers = 0;
  let last = '';
  for await (const batch of batches(end)) {
    answers += batch.length;
    last = String(Buffer.from(batch.at(-1) ?? []));
  }
  await sending;
  const { doorbells = 0 } = end.stats();
  console.log(`${answers} answers in ${(performance.now() - started).toFixed(0)} ms, the worker woken ${doorbells} times: ... ${last}`);

  let sum = 0;
  for await (const { view } of frames(open(numbers.port1), Float32Array)) for (const value of view) sum += value; // no copy
  console.log(`${FRAMES} frames of ${FLOATS} floats, sum ${sum}`);
  process.exitCode = answers === MESSAGES && sum === (FRAMES * (FRAMES - 1) * FLOATS) / 2 ? 0 : 1;
}

/** Answers each message; then computes, without an event loop. */
async function work(ports: Ports): Promise<void> {
  const end = open(ports.words, { allowHalfOpen: true });
  for await (const batch of batches(end)) {
    await sendAll(
      end,
      batch.map((message) => Buffer.from(`${Buffer.from(message)}, answered`)),
    );
  }
  end.end();

  using numbers = openBlocking(ports.numbers);
  const floats = frames(numbers, Float32Array);
  for (let i = 0; i < FRAMES && floats.writable(FLOATS); i++) {
    const frame = floats.reserve(FLOATS);
    frame?.view.fill(i);
    frame?.commit();
  }
}
