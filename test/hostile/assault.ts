// assault.ts - what a peer does to the memory it shares once it is connected: payload that changes while it is read, cursors
// and states that cannot be, a doorbell page full of anything.

import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { RingConsumer, RingProducer, WORD } from '@smcjs/core/backend';
import type { Random } from '../support/random.js';
import type { Rings } from './raw.js';

export const WAYS = ['payload', 'cursors', 'headers', 'page', 'marked', 'all'] as const;
export type Way = (typeof WAYS)[number];

/** The only bytes of a `marked` assault; the ring itself begins with zeros. */
export const MARKS = [0x5a, 0xa5] as const;

const WORDS = 128;
const SCRIBBLES = 4000;

const record = { name: 'ünïcödé €uro 漢字 🎉', list: Array.from({ length: 40 }, (_, i) => ({ i, text: 'x'.repeat(i) })) };
const json = Buffer.from(JSON.stringify(record));
const FOOD: readonly Buffer[] = [
  json,
  gzipSync(Buffer.concat(Array<Buffer>(20).fill(json))),
  Buffer.from(`POST /a HTTP/1.1\r\nhost: b\r\ncontent-length: ${json.length}\r\n\r\n${json.toString()}`),
  Buffer.from('GET / HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  Buffer.from('漢字🎉é'.repeat(900)),
];

/** Numbers worth trying for a word: around the ring, around the sign, and any. */
function word(random: Random, near: number): number {
  const any = random.integer(0, 0xffff_ffff) | 0;
  const tries = [any, near + random.integer(0, 70_000), near - random.integer(0, 70_000), 0, -1, 65_536, 65_537, 2 ** 31 - 1, -(2 ** 31)];
  return (tries[random.integer(0, tries.length - 1)] as number) | 0;
}

/** Lasts until the time is over or the connection is. */
export async function assault(rings: Rings, page: ArrayBuffer, way: Way, random: Random, ms: number, over: () => boolean): Promise<void> {
  const { tx, rx } = rings;
  const producer = new RingProducer(tx);
  const consumer = new RingConsumer(rx);
  const does = (what: Way): boolean => way === what || way === 'all';
  const pageWords = new Int32Array(page);
  for (const end = Date.now() + ms; Date.now() < end && !over(); await turn()) {
    const food = way === 'marked' ? Buffer.alloc(random.integer(1, 8192), MARKS[0]) : (FOOD[random.integer(0, FOOD.length - 1)] as Buffer);
    producer.write(food);
    producer.publish();
    rings.ring();
    scribble(tx.data, way, random);
    consumer.advance(consumer.available());
    consumer.publish();
    if (does('page')) for (let i = 0; i < 200; i++) pageWords[random.integer(2, pageWords.length - 1)] = word(random, 0);
    if (random.integer(0, 9) > 0) continue;
    if (does('cursors') || way === 'marked') {
      const [words, at] = random.integer(0, 1) === 0 ? [tx.words, WORD.producerCursor] : [rx.words, WORD.consumerCursor];
      words[at] = word(random, words[at] as number);
    }
    if (does('headers')) {
      const words = random.integer(0, 1) === 0 ? tx.words : rx.words;
      for (let i = random.integer(1, WORDS); i > 0; i--) words[random.integer(0, WORDS - 1)] = word(random, 0);
    }
    rings.ring();
  }
}

/** Changes bytes all over the ring, those the victim reads at this moment among them. */
function scribble(data: Buffer, way: Way, random: Random): void {
  let state = random.integer(1, 0x7fff_ffff);
  for (let i = 0; i < SCRIBBLES; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    data[(state >>> 4) % data.length] = way === 'marked' ? (MARKS[state & 1] as number) : state >>> 20;
  }
}
