// lies.ts - CLC messages that are nearly right: one field, one length or a few bytes of them are not.

import type { Random } from '../support/random.js';

const BYTES = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/** The message with something wrong in it, or nothing at all, or too much behind it. */
export function mutate(message: Uint8Array, random: Random): Buffer {
  const bytes = Buffer.from(message);
  const at = random.integer(0, bytes.length - 1);
  switch (random.integer(0, 7)) {
    case 0: // truncated
      return bytes.subarray(0, at);
    case 1: // oversized: more than it says
      return Buffer.concat([bytes, Buffer.alloc(random.integer(1, 70_000), at)]);
    case 2: // says another length than it has
      bytes.writeUInt16BE(random.integer(0, 0xffff), 5);
      return bytes;
    case 3: // says the longest there can be, and goes on
      bytes.writeUInt16BE(0xffff, 5);
      return Buffer.concat([bytes, Buffer.alloc(70_000)]);
    case 4: // a run of bytes
      bytes.fill(BYTES[random.integer(0, BYTES.length - 1)] as number, at, Math.min(bytes.length, at + random.integer(2, 16)));
      return bytes;
    case 5: // twice
      return Buffer.concat([bytes, bytes]);
    case 6: // one bit
      bytes[at] = (bytes[at] as number) ^ (1 << random.integer(0, 7));
      return bytes;
    default: // one byte
      bytes[at] = BYTES[random.integer(0, BYTES.length - 1)] as number;
      return bytes;
  }
}
