// llc.test.ts - fuzzing what reads the messages of SMC-R's links.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, it } from 'vitest';
import { CDC_LENGTH, emptyCdc, readCdc, writeCdc } from '../../packages/smcr/dist/cdc/index.js';
import { decodeLlc, encodeLlc } from '../../packages/smcr/dist/llc/index.js';
import { FUZZ_TIMEOUT, fuzz } from './mutate.js';

const captured = JSON.parse(readFileSync(new URL('../../packages/smcr/test/vectors/linux.json', import.meta.url), 'utf8')) as {
  name: string;
  hex: string;
}[];
const seeds = (kind: string) => captured.filter(({ name }) => name.startsWith(kind)).map(({ hex }) => Buffer.from(hex, 'hex'));
/** A message of every type, in both versions. */
const TYPES = [0x00, 0x20].flatMap((version) =>
  Array.from({ length: 9 }, (_, i) => {
    const bytes = Buffer.alloc(44);
    bytes[0] = version + i + 1;
    if (version === 0) bytes[1] = 44;
    else bytes.writeUInt16LE(44, 1);
    return bytes;
  }),
);

describe('fuzzing', () => {
  it('the LLC decoder: it throws ERR_SMC_LLC or gives what can be written and read again', { timeout: FUZZ_TIMEOUT }, async () => {
    await fuzz('LLC decode', [...seeds('llc'), ...TYPES], ({ next, note }) => {
      const bytes = next();
      let read: ReturnType<typeof decodeLlc>;
      try {
        read = decodeLlc(bytes);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_SMC_LLC') throw error;
        return note((error as Error).message.replace(/\d+/g, 'n'));
      }
      note(`${read.type} ${read.version} ${read.response}`);
      if (read.type !== 'unknown' && !isDeepStrictEqual(decodeLlc(encodeLlc(read)), read)) {
        throw new Error('it is not the same when it was written');
      }
    });
  });

  it('the CDC decoder: it reads nothing, or exactly what stands there', { timeout: FUZZ_TIMEOUT }, async () => {
    const message = emptyCdc();
    const again = emptyCdc();
    const written = new Uint8Array(CDC_LENGTH);
    await fuzz('CDC read', seeds('cdc'), ({ next, note }) => {
      const bytes = next();
      const read = readCdc(bytes, 0, bytes.length, message);
      note(`${read} ${Math.min(bytes.length, 64)}`);
      if (!read) return;
      writeCdc(written, 0, message);
      if (!readCdc(written, 0, CDC_LENGTH, again) || !isDeepStrictEqual(again, message)) {
        throw new Error('it is not the same when it was written');
      }
    });
  });
});
