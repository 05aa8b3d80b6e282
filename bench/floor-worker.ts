// floor-worker.ts - one of the two threads of a floor measurement; side 0 keeps the time.

import { parentPort, workerData } from 'node:worker_threads';
import { now, percentiles } from './clock.js';
import { type FloorJob, TRANSFER_BYTES } from './floor.js';
import { Checker, Payload } from './payload.js';

// Words on lines of their own, then 64 bytes of payload for each direction.
const MINE = 0;
const STOP = 64;
const PAYLOAD = 1024;

const { kind, side, memory, ms } = workerData as FloorJob;
const words = new Int32Array(memory);
const bytes = new Uint8Array(memory);
const mine = MINE + side * 32;
const theirs = MINE + (1 - side) * 32;
const samples = new Float64Array(1 << 16);

/** Wakes the other side up and sleeps until it answers. */
function wakeUp(turn: number): void {
  Atomics.store(words, mine, turn);
  Atomics.notify(words, mine);
}

function sleepFor(turn: number): void {
  for (let seen = Atomics.load(words, theirs); seen !== turn; seen = Atomics.load(words, theirs)) Atomics.wait(words, theirs, seen);
}

const out = new Uint8Array(64).fill(side + 1);
const inbox = new Uint8Array(64);
const sendAt = PAYLOAD + side * 256;
const receive = bytes.subarray(PAYLOAD + (1 - side) * 256, PAYLOAD + (1 - side) * 256 + 64);

/** Copies 64 bytes in and publishes the cursor. */
function publish(turn: number): void {
  bytes.set(out, sendAt);
  Atomics.store(words, mine, turn);
}

/** Spins until the other cursor moves and copies the bytes out. */
function spinFor(turn: number): void {
  while (Atomics.load(words, theirs) !== turn);
  inbox.set(receive);
}

const [send, wait] = kind === 'wakeup' ? [wakeUp, sleepFor] : [publish, spinFor];
/** Round trips per look at the clock: a spinning one is hardly longer than the look. */
const batch = kind === 'wakeup' ? 1 : 50;

function lead(): number {
  let turn = 0;
  let count = 0;
  const start = now();
  const warm = start + ms * 250;
  const deadline = warm + ms * 1000;
  // One at least: on a loaded machine a single one may take all the time there is.
  for (let begin = start; (begin < deadline || count === 0) && count < samples.length; ) {
    for (let i = 0; i < batch; i++) {
      send(++turn);
      wait(turn);
    }
    const end = now();
    if (begin >= warm) samples[count++] = (end - begin) / batch;
    begin = end;
  }
  Atomics.store(words, STOP, turn + 1);
  send(turn + 1);
  return percentiles(samples, count).p50_us;
}

function follow(): number {
  for (let turn = 1; ; turn++) {
    wait(turn);
    if (Atomics.load(words, STOP) === turn) return 0;
    send(turn);
  }
}

// ---- one way: messages through a ring of 256 KiB, stamped and copied in, checked where they are

const MESSAGE = 64 * 1024;
const RING = TRANSFER_BYTES - PAYLOAD;
/** Cursors count bytes in 32 bits and are not made to wrap here. */
const MOST = 2 ** 31 - 2 * MESSAGE;

/** GB/s, over the second half of the time. */
function produce(): number {
  const payload = new Payload(MESSAGE, 0);
  let written = 0;
  let begin = now();
  let from = 0;
  const half = begin + ms * 500;
  const deadline = begin + ms * 1000;
  for (let at = begin; at < deadline && written < MOST; at = now()) {
    if (from === 0 && at >= half) {
      begin = at;
      from = written;
    }
    while (written - Atomics.load(words, theirs) > RING - MESSAGE);
    bytes.set(payload.next(), PAYLOAD + (written % RING));
    written += MESSAGE;
    Atomics.store(words, mine, written);
  }
  Atomics.store(words, STOP, 1);
  return (written - from) / 1e3 / (now() - begin);
}

function consume(): number {
  const checker = new Checker();
  for (let read = 0; ; ) {
    const written = Atomics.load(words, theirs);
    if (written === read) {
      if (Atomics.load(words, STOP) === 1 && Atomics.load(words, theirs) === read) return 0;
      continue;
    }
    const at = PAYLOAD + (read % RING);
    checker.push(bytes, at, at + MESSAGE);
    read += MESSAGE;
    Atomics.store(words, mine, read);
  }
}

const measure = kind === 'transfer' ? [produce, consume] : [lead, follow];
parentPort?.postMessage(measure[side]?.());
