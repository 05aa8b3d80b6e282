// passing-side.ts - one side of the message-passing test: bytes and records through a real ring in memory shared with another
// process, with nothing but the ring's words between them.

import { CONN_STATE, type RingMemory, RingConsumer, RingProducer } from '@smcjs/core/backend';
import { addon, patience, recordsOf, segments } from './places.js';

export interface PassingArgs {
  readonly role: 'producer' | 'consumer';
  readonly what: 'bytes' | 'records';
  readonly milliseconds: number;
  readonly elements: number;
  readonly capacity: number;
}

const { role, what, milliseconds, elements, capacity } = JSON.parse(process.argv[2] as string) as PassingArgs;
const { RecordReader, RecordWriter } = await recordsOf();
const wait = patience(milliseconds);

/** Word `at` of the stream; a byte that is missing, old or from elsewhere shows. */
const word = (at: number): number => Math.imul(at ^ (at >>> 15), 0x2c1b3c6d) ^ at;
/** Lengths of chunks and records, in words: mostly small, sometimes a good part of the ring. */
const length = (n: number): number =>
  n % 61 === 0 ? (Math.imul(n, 40_503) >>> 8) % (capacity / 16) : 1 + ((Math.imul(n, 0x9e3779b1) >>> 24) & 63);

async function ring(): Promise<RingMemory> {
  const native = await addon();
  if (typeof native === 'string') throw new Error(native);
  const { PeerSegments } = await segments();
  const mapped = new PeerSegments(native);
  if (!mapped.add(0, elements, capacity, 3)) throw new Error('not the segment that was announced');
  return (mapped.get({ segment: 0, index: 0 }) as { memory: RingMemory }).memory;
}

/** Shows the consumer what there is, and gives it time. */
function more(tx: RingProducer): void {
  tx.publish();
  wait();
}

function produce(memory: RingMemory): number {
  const tx = new RingProducer(memory);
  const writer = new RecordWriter(tx);
  const buffer = new Int32Array(capacity / 4);
  const until = Date.now() + milliseconds;
  let at = 0;
  for (let n = 1; n % 256 !== 0 || Date.now() < until; n++) {
    const words = length(n);
    for (let i = 0; i < words; i++) buffer[i] = word(at + i);
    at += words;
    const bytes = new Uint8Array(buffer.buffer, 0, words * 4);
    if (what === 'records') {
      while (!writer.sendOne(bytes)) more(tx);
    } else {
      for (let written = tx.write(bytes); written < bytes.length; written += tx.write(bytes, written)) more(tx);
    }
    // Published one by one, or several at a time.
    if (n % 5 < 3) tx.publish();
    if (tx.violated) throw new Error('the consumer cursor is impossible');
  }
  tx.publish();
  tx.setState(CONN_STATE.sendingDone);
  return at;
}

function consume(memory: RingMemory): number {
  const rx = new RingConsumer(memory);
  const reader = new RecordReader(rx);
  const buffer = new Uint8Array(capacity);
  let at = 0;
  const take = (bytes: Uint8Array, offset: number, size: number): void => {
    if (size % 4 !== 0) throw new Error(`${size} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, size);
    for (let i = 0; i < size; i += 4, at++) {
      if (view.getInt32(i, true) !== word(at)) throw new Error(`word ${at} is ${view.getInt32(i, true)}, not ${word(at)}`);
    }
  };
  for (let n = 0; ; n++) {
    const over = (rx.state() & CONN_STATE.sendingDone) !== 0;
    const available = rx.available();
    if (rx.violated) throw new Error('the producer cursor is impossible');
    if (available === 0) {
      if (over) return at;
      wait();
      rx.publish(); // a producer that waits for room must have all there is
      continue;
    }
    if (what === 'records') reader.receive(take, n % 3 === 0 ? 1 : undefined);
    else {
      const size = n % 4 === 0 ? Math.min(available, 64) : available;
      rx.copy(buffer, 0, size);
      rx.advance(size);
      take(buffer, 0, size);
    }
    if (n % 2 === 0 || available > capacity / 2) rx.publish();
  }
}

const memory = await ring();
console.log(JSON.stringify({ words: role === 'producer' ? produce(memory) : consume(memory) }));
