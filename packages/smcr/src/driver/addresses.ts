// addresses.ts - 64-bit addresses as two 32-bit halves, so that no bigint is made per message.

import { SEND_WR } from '../verbs-provider.js';

/** Where a stretch of memory starts and by which key it is reached. */
export interface Base {
  readonly low: number;
  readonly high: number;
  readonly key: number;
}

export function baseOf(address: bigint, key: number): Base {
  return { low: Number(address & 0xffffffffn), high: Number((address >> 32n) & 0xffffffffn), key };
}

/** Writes `base + offset` into the two words at `at`. `offset` is below 2^32. */
export function putAddress(words: Uint32Array, at: number, base: Base, offset: number): void {
  const low = base.low + offset;
  words[at] = low; // modulo 2^32
  words[at + 1] = base.high + (low > 0xffffffff ? 1 : 0);
}

/** One send request in `words`, record `index`. For SEND `remote` is left out. */
export function putSend(
  words: Uint32Array,
  index: number,
  id: number,
  opcode: number,
  flags: number,
  local: Base,
  localOffset: number,
  length: number,
  remote?: Base,
  remoteOffset = 0,
): void {
  const at = index * SEND_WR.words;
  words[at + SEND_WR.id] = id;
  words[at + SEND_WR.opcode] = opcode;
  words[at + SEND_WR.flags] = flags;
  words[at + SEND_WR.immediate] = 0;
  putAddress(words, at + SEND_WR.localLow, local, localOffset);
  words[at + SEND_WR.length] = length;
  words[at + SEND_WR.lkey] = local.key;
  if (remote === undefined) return;
  putAddress(words, at + SEND_WR.remoteLow, remote, remoteOffset);
  words[at + SEND_WR.rkey] = remote.key;
}
