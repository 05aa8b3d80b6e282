// message.ts - the CDC message: both cursors of one end of a connection and its flags, by SEND after the data it speaks of
// (RFC 7609 section 4.5.1 and appendix A.4; the same in both versions).
//
//   +0   1  0xfe
//   +1   1  length, 44
//   +2   2  sequence number of the connection and direction: the first message has 1
//   +4   4  alert token of the receiver
//   +8   8  producer cursor: reserved 2, wrap 2, offset 4
//   +16  8  consumer cursor: reserved 2, wrap 2, offset 4
//   +24  1  producer flags
//   +25  1  connection state
//   +26 18  reserved
//
// Read and written for every message: nothing here allocates.

export const CDC_TYPE = 0xfe;
export const CDC_LENGTH = 44;
/** Up to the reserved bytes: what must have arrived. */
const CDC_USED = 26;

/** Producer flags. */
export const CDC_FLAG = {
  /** The sender has more than fits: it waits for the consumer cursor. */
  writeBlocked: 0x80,
  /** Urgent data will follow when there is room. */
  urgentPending: 0x40,
  /** The byte before the producer cursor is urgent. */
  urgentPresent: 0x20,
  /** Asks for the consumer cursor at once. */
  cursorUpdateRequested: 0x10,
  /** First message after the connection moved to this link: says which message arrived last, and nothing else. */
  failoverValidation: 0x08,
} as const;

/** Connection state bits; those of the ring (`CONN_STATE` in @smcjs/core/backend) are the same. */
export const CDC_STATE = { sendingDone: 0x80, closed: 0x40, abnormal: 0x20 } as const;

/** What a CDC message says. Mutable: one object is used again and again. */
export interface CdcMessage {
  sequence: number;
  token: number;
  producerWrap: number;
  producerOffset: number;
  consumerWrap: number;
  consumerOffset: number;
  flags: number;
  state: number;
}

export function emptyCdc(): CdcMessage {
  return { sequence: 0, token: 0, producerWrap: 0, producerOffset: 0, consumerWrap: 0, consumerOffset: 0, flags: 0, state: 0 };
}

/**
 * Reads the message of `length` bytes at `at`. False when it is none; like Linux, such a message is to be ignored. Offsets and
 * tokens are as the peer wrote them. The bytes are read once each, so they may be live receive memory.
 */
export function readCdc(bytes: Uint8Array, at: number, length: number, into: CdcMessage): boolean {
  if (length < CDC_USED || at + length > bytes.length) return false;
  if (bytes[at] !== CDC_TYPE || bytes[at + 1] !== CDC_LENGTH) return false;
  into.sequence = uint16(bytes, at + 2);
  into.token = uint32(bytes, at + 4);
  into.producerWrap = uint16(bytes, at + 10);
  into.producerOffset = uint32(bytes, at + 12);
  into.consumerWrap = uint16(bytes, at + 18);
  into.consumerOffset = uint32(bytes, at + 20);
  into.flags = bytes[at + 24] as number;
  into.state = bytes[at + 25] as number;
  return true;
}

/** Writes 44 bytes at `at`. Values are taken modulo their width. */
export function writeCdc(bytes: Uint8Array, at: number, message: CdcMessage): void {
  bytes[at] = CDC_TYPE;
  bytes[at + 1] = CDC_LENGTH;
  putUint16(bytes, at + 2, message.sequence);
  putUint32(bytes, at + 4, message.token);
  putUint16(bytes, at + 8, 0);
  putUint16(bytes, at + 10, message.producerWrap);
  putUint32(bytes, at + 12, message.producerOffset);
  putUint16(bytes, at + 16, 0);
  putUint16(bytes, at + 18, message.consumerWrap);
  putUint32(bytes, at + 20, message.consumerOffset);
  bytes[at + 24] = message.flags;
  bytes[at + 25] = message.state;
  // Not fill(), which costs as much as all the rest.
  for (let i = at + CDC_USED; i < at + CDC_LENGTH; i++) bytes[i] = 0;
}

/** Is sequence number `a` older than `b`? Both are 16 bits and wrap. */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) << 16) >> 16 < 0;
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) * 0x10000 + uint16(bytes, at + 2);
}

function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function putUint32(bytes: Uint8Array, at: number, value: number): void {
  putUint16(bytes, at, value >>> 16);
  putUint16(bytes, at + 2, value);
}
