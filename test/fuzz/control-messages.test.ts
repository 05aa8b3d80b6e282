// control-messages.test.ts - fuzzing what reads the control messages of @smcjs/smcd.

import { describe, it } from 'vitest';
import { decode, encode, INSTANCE_BYTES, PROTOCOL_VERSION, TUPLE_BYTES } from '../../packages/smcd/dist/messages.js';
import { FUZZ_TIMEOUT, fuzz } from './mutate.js';

const tuple = Buffer.alloc(TUPLE_BYTES, 1);
const element = { segment: 1, index: 2 };
const SEEDS: readonly Uint8Array[] = [
  encode({ type: 'hello', version: PROTOCOL_VERSION, instance: Buffer.alloc(INSTANCE_BYTES, 2), linkGroup: 3 }),
  encode({ type: 'segment', id: 0, elements: 4, capacity: 65_536 }),
  encode({ type: 'offer', tuple, token: 4n, slot: 5, element, syn: 6 }),
  encode({ type: 'answer', offered: 4n, token: 6n, slot: 7, element }),
  encode({ type: 'refuse', offered: 4n }),
  encode({ type: 'decline', tuple, diagnosis: 8 }),
];

describe('fuzzing', () => {
  it('the control messages: they are nothing, or exactly what was sent', { timeout: FUZZ_TIMEOUT }, async () => {
    await fuzz('control messages', SEEDS, ({ next, note }) => {
      const bytes = next();
      const read = decode(bytes);
      note(read?.type ?? `nothing of ${Math.min(bytes.length, 64)}`);
      if (read !== undefined && !encode(read).equals(bytes)) throw new Error(`a ${read.type} is not what was sent`);
    });
  });
});
