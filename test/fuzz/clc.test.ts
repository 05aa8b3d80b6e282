// clc.test.ts - fuzzing what reads CLC: the decoder and the reader that finds messages in a stream.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { acceptConfirmOf, ClcReader, type ClcMessage, decode, encode, proposalOf } from '@smcjs/core/backend';
import { describe, it } from 'vitest';
import { FUZZ_TIMEOUT, fuzz } from './mutate.js';

const instance = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const ours = { instance, token: 1n, capacity: 65_536, linkId: 1 };
const captured = JSON.parse(readFileSync(new URL('../../packages/core/test/vectors/clc.json', import.meta.url), 'utf8')) as {
  hex: string;
}[];
const SEEDS: readonly Uint8Array[] = [
  ...captured.map(({ hex }) => Buffer.from(hex.replace(/\s+/g, ''), 'hex')),
  encode(proposalOf(instance)),
  encode(acceptConfirmOf('accept', ours)),
  encode(acceptConfirmOf('confirm', ours)),
  encode({ type: 'decline', path: 'smcd', version: 2, peerId: new Uint8Array(8), diagnosis: 0x03010000, outOfSync: false, os: 2 }),
];

/** What it gives, or the message of an ERR_SMC_CLC; anything else is thrown on. */
function clc<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_SMC_CLC') return (error as Error).message.replace(/\d+/g, 'n');
    throw error;
  }
}

describe('fuzzing', () => {
  it('the CLC decoder: it throws ERR_SMC_CLC or gives what can be written and read again', { timeout: FUZZ_TIMEOUT }, async () => {
    await fuzz('CLC decode', SEEDS, ({ next, note }) => {
      const bytes = next();
      const read = clc(() => decode(bytes));
      note(typeof read === 'string' ? read : `${read.type} ${JSON.stringify(Object.keys(read))}`);
      if (typeof read !== 'string' && !isDeepStrictEqual(decode(encode(read)), read))
        throw new Error('it is not the same when it was written');
    });
  });

  it('the CLC reader: no byte is lost, and it finds what the decoder finds', { timeout: FUZZ_TIMEOUT }, async () => {
    await fuzz('CLC reader', SEEDS, ({ next, note, random }) => {
      const stream = Buffer.concat(Array.from({ length: random.integer(1, 3) }, next));
      const reader = new ClcReader();
      const messages: ClcMessage[] = [];
      let failure: string | undefined;
      for (let at = 0; at < stream.length && failure === undefined; ) {
        const length = random.integer(1, stream.length - at);
        reader.push(stream.subarray(at, at + length));
        at += length;
        for (let message = clc(() => reader.next()); message !== undefined; message = clc(() => reader.next())) {
          if (typeof message === 'string') {
            failure = message;
            if (clc(() => reader.next()) !== message) throw new Error('it goes on after a failure');
            // What was not pushed yet is not the reader's.
            reader.push(stream.subarray(at));
            break;
          }
          messages.push(message);
        }
      }
      note(`${messages.map(({ type }) => type).join()} ${failure ?? ''}`);
      // The rest is the end of the stream; the messages are what is before.
      const rest = reader.rest();
      const taken = stream.length - rest.length;
      if (!stream.subarray(taken).equals(rest)) throw new Error('the rest is not the end of the stream');
      for (let at = 0, i = 0; at < taken || i < messages.length; i++) {
        const length = stream.readUInt16BE(at + 5);
        if (!isDeepStrictEqual(decode(stream.subarray(at, at + length)), messages[i]))
          throw new Error(`message ${i} is not what stands there`);
        at += length;
        if (at > taken) throw new Error('more was taken than messages have');
      }
    });
  });
});
