// holder.ts - opens everything there is to open, with traffic on it, and ends in the way it is told to: as a process, or as a
// worker thread of a process that must go on. Prints 'open' when all is open, 'on' when it goes on after a worker.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { GUARD_ANSWER, OPCODE } from '@smcjs/smcr/verbs';
import { type Connected, connectPair, openRxe, poll, receives, sends } from './connected.js';

/** As {@link connectPair}, with both queues armed and writes under way for ever. */
async function busy(): Promise<Connected> {
  const connected = await connectPair();
  const { left, right } = connected;
  right.pair.postReceive(receives(right.memory, 0, 64, 32), 32);
  // Its thread has to end with the loop, too.
  const answer = await connected.domain.allocateMemory(GUARD_ANSWER, { remoteWrite: false });
  const slots = { receive: right.memory, receiveLength: 64, receiveSlots: 32, firstReceive: 0 };
  right.pair.guard?.({ testLink: 0x27, ...slots, answer, answerAt: 0 });
  const requests = sends(
    { opcode: OPCODE.rdmaWrite, from: left.memory, length: 65536, to: right.memory },
    { from: left.memory, length: 64 },
  );
  const again = () => {
    poll(left.queue);
    poll(right.queue);
    left.pair.postSend(requests, 2);
    right.pair.postReceive(receives(right.memory, 0, 64, 1), 1);
    left.queue.arm(false);
  };
  left.queue.onEvent = again;
  again();
  return connected;
}

const ENDINGS: Record<string, (connected: Connected) => unknown> = {
  // Nothing of ours keeps a loop alive.
  natural: () => {},
  exit: () => process.exit(0),
  // A verb that is under way, and its promise, are left behind.
  'exit-midway': ({ context }) => {
    void openRxe();
    void context.createCompletionQueue(10);
    process.exit(0);
  },
  kill: () => process.kill(process.pid, 'SIGKILL'),
  close: ({ context }) => context.close(),
  throw: () => {
    throw new Error('on purpose');
  },
  // Goes on until it is terminated.
  stay: () => setInterval(() => {}, 1000),
};

async function hold(how: string): Promise<void> {
  const connected = await busy();
  if (isMainThread) console.log('open');
  else parentPort?.postMessage('open');
  await ENDINGS[how]?.(connected);
}

async function holdInWorker(how: string): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: how });
  worker.on('error', () => {});
  await new Promise((resolve) => worker.once('message', resolve));
  if (how === 'stay') await worker.terminate();
  else await new Promise((resolve) => worker.once('exit', resolve));
  console.log('on');
}

const [how = '', where] = process.argv.slice(2);
if (!isMainThread) await hold(workerData as string);
else if (where === 'worker') await holdInWorker(how);
else if (where === 'workers') await Promise.all([1, 2, 3].map(() => holdInWorker(how)));
else await hold(how);
