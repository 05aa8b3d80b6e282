// stalled.ts - a process with one guarded queue pair, whose loop can be told to stand still in different ways. It notes the
// number of every message it gets, in order.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { COMPLETION, COMPLETION_FLAG, GUARD_ANSWER, guardCounters } from '@smcjs/smcr/verbs';
import { commands, report } from '../peers/lib.js';
import { loopbackGid, makeEnd, openRxe, receives, toRts } from './connected.js';

export const SLOTS = 48;
export const SLOT = 512;
/** First byte of a message with a number, and of TEST LINK in version 2. */
export const NUMBERED = 0xfe;
export const TEST_LINK = 0x27;

export interface Start {
  readonly do: 'start';
  readonly peer: number;
  readonly guard: boolean;
}

/** `where`: in a callback of the loop that has nothing to do with RDMA, or in the handling of the next message. */
export interface Stall {
  readonly do: 'stall';
  readonly where: 'elsewhere' | 'handler';
  readonly how: 'busy' | 'execSync' | 'wait';
  /** So long at least, and until this file is there. */
  readonly seconds: number;
  readonly until: string;
}

export interface Tell {
  readonly do: 'tell';
}

const context = await openRxe();
const gid = await loopbackGid(context);
const domain = await context.allocatePd();
const { pair, queue, memory } = await makeEnd(context, domain, { bytes: SLOTS * SLOT, maxSend: 4, maxReceive: SLOTS });
const answers = await domain.allocateMemory(GUARD_ANSWER, { remoteWrite: false });

const numbers: number[] = [];
/** TEST LINKs that came to the loop: with an answer, without. */
const tests = { answered: 0, open: 0 };
let next: Stall | undefined;

const completions = new Uint32Array(32 * COMPLETION.words);
const kept = new Uint8Array(4096);

function poll(): void {
  for (let count = queue.poll(completions, kept); count > 0; count = queue.poll(completions, kept)) {
    for (let i = 0; i < count; i++) handle(completions.subarray(i * COMPLETION.words));
  }
}

function handle(record: Uint32Array): void {
  const id = record[COMPLETION.id] as number;
  if (record[COMPLETION.status] !== 0) return report('failed', { status: record[COMPLETION.status] });
  const flags = record[COMPLETION.flags] as number;
  const aside = (flags & COMPLETION_FLAG.kept) !== 0;
  const length = record[COMPLETION.length] as number;
  const from = aside
    ? Buffer.from(kept.buffer, record[COMPLETION.immediate], length)
    : memory.bytes.subarray(id * SLOT, id * SLOT + length);
  if (from[0] === NUMBERED) numbers.push(from.readUInt32BE(4));
  else if ((flags & COMPLETION_FLAG.answered) !== 0) tests.answered++;
  else tests.open++;
  if (!aside) pair.postReceive(receives(memory, id * SLOT, SLOT, 1).fill(id, 0, 1), 1);
  if (next !== undefined) {
    const now = next;
    next = undefined;
    stall(now);
  }
}

function stall({ how, seconds, until }: Stall): void {
  report('stalls');
  const word = new Int32Array(new SharedArrayBuffer(4));
  if (how === 'execSync') execFileSync('sh', ['-c', `sleep ${seconds}; while [ ! -e ${until} ]; do sleep 0.1; done`]);
  else
    for (const end = Date.now() + seconds * 1000; Date.now() < end || !existsSync(until); )
      if (how === 'wait') Atomics.wait(word, 0, 0, 100);
  report('over');
}

async function start({ peer, guard }: Start): Promise<void> {
  await toRts(pair, peer, gid);
  pair.postReceive(receives(memory, 0, SLOT, SLOTS), SLOTS);
  if (guard) {
    const from = { receive: memory, receiveLength: SLOT, receiveSlots: SLOTS, firstReceive: 0 };
    pair.guard?.({ testLink: TEST_LINK, ...from, answer: answers, answerAt: 0 });
  }
  queue.onEvent = () => {
    poll();
    queue.arm(false);
    poll();
  };
  queue.onEvent();
  report('started');
}

commands<Start | Stall | Tell>((command) => {
  if (command.do === 'start') void start(command);
  else if (command.do === 'tell') report('told', { numbers, tests, counters: guardCounters() });
  else if (command.where === 'elsewhere') stall(command);
  else {
    next = command;
    report('will stall');
  }
});
report('ready', { number: pair.number });
