// messages.ts - what two loops say to each other over their Unix socket: one datagram each, little-endian, fixed sizes.
//
//   hello    1  version u32, instance 16, link group u32          + the sender's doorbell page
//   segment  2  id u32, elements u32, capacity u32                + the segment
//   offer    3  tuple 36, token u64, slot u32, element, SYN       server to client, one per accepted TCP connection
//   answer   4  server's token u64, token u64, slot u32, element  client to server: claimed
//   refuse   5  server's token u64                                client to server: not wanted, or no longer
//   decline  6  tuple 36, diagnosis u32                           server to client: seen, but nothing can be offered
//   where element = segment u32, index u32, and SYN = known u32 (0 or 1), TSval u32 (0 if it is not known)
//
// The peer may send anything: `decode` checks type and exact length and gives undefined for everything else.

export const PROTOCOL_VERSION = 2;
export const TUPLE_BYTES = 36;
export const INSTANCE_BYTES = 16;

export interface ElementName {
  readonly segment: number;
  readonly index: number;
}

export type ControlMessage =
  | { readonly type: 'hello'; readonly version: number; readonly instance: Buffer; readonly linkGroup: number }
  | { readonly type: 'segment'; readonly id: number; readonly elements: number; readonly capacity: number }
  | {
      readonly type: 'offer';
      readonly tuple: Buffer;
      readonly token: bigint;
      readonly slot: number;
      readonly element: ElementName;
      /** TSval in the SYN of the accepted connection, if the server has seen it. */
      readonly syn: number | undefined;
    }
  | { readonly type: 'answer'; readonly offered: bigint; readonly token: bigint; readonly slot: number; readonly element: ElementName }
  | { readonly type: 'refuse'; readonly offered: bigint }
  | { readonly type: 'decline'; readonly tuple: Buffer; readonly diagnosis: number };

const TYPE = { hello: 1, segment: 2, offer: 3, answer: 4, refuse: 5, decline: 6 } as const;
const LENGTH = { hello: 28, segment: 16, offer: 68, answer: 32, refuse: 12, decline: 44 } as const;

export function encode(message: ControlMessage): Buffer {
  const bytes = Buffer.alloc(LENGTH[message.type]);
  bytes.writeUInt32LE(TYPE[message.type], 0);
  switch (message.type) {
    case 'hello':
      bytes.writeUInt32LE(message.version, 4);
      message.instance.copy(bytes, 8);
      bytes.writeUInt32LE(message.linkGroup, 24);
      break;
    case 'segment':
      bytes.writeUInt32LE(message.id, 4);
      bytes.writeUInt32LE(message.elements, 8);
      bytes.writeUInt32LE(message.capacity, 12);
      break;
    case 'offer':
      message.tuple.copy(bytes, 4);
      bytes.writeBigUInt64LE(message.token, 40);
      putSlot(bytes, 48, message.slot, message.element);
      bytes.writeUInt32LE(message.syn === undefined ? 0 : 1, 60);
      bytes.writeUInt32LE(message.syn ?? 0, 64);
      break;
    case 'answer':
      bytes.writeBigUInt64LE(message.offered, 4);
      bytes.writeBigUInt64LE(message.token, 12);
      putSlot(bytes, 20, message.slot, message.element);
      break;
    case 'refuse':
      bytes.writeBigUInt64LE(message.offered, 4);
      break;
    case 'decline':
      message.tuple.copy(bytes, 4);
      bytes.writeUInt32LE(message.diagnosis, 40);
      break;
  }
  return bytes;
}

/** `bytes` must be private memory; parts of it are kept. */
export function decode(bytes: Buffer): ControlMessage | undefined {
  if (bytes.length < 4) return undefined;
  switch (bytes.readUInt32LE(0)) {
    case TYPE.hello:
      if (bytes.length !== LENGTH.hello) return undefined;
      return { type: 'hello', version: bytes.readUInt32LE(4), instance: bytes.subarray(8, 24), linkGroup: bytes.readUInt32LE(24) };
    case TYPE.segment:
      if (bytes.length !== LENGTH.segment) return undefined;
      return { type: 'segment', id: bytes.readUInt32LE(4), elements: bytes.readUInt32LE(8), capacity: bytes.readUInt32LE(12) };
    case TYPE.offer:
      return bytes.length === LENGTH.offer ? decodeOffer(bytes) : undefined;
    case TYPE.answer:
      if (bytes.length !== LENGTH.answer) return undefined;
      return { type: 'answer', offered: bytes.readBigUInt64LE(4), token: bytes.readBigUInt64LE(12), ...getSlot(bytes, 20) };
    case TYPE.refuse:
      if (bytes.length !== LENGTH.refuse) return undefined;
      return { type: 'refuse', offered: bytes.readBigUInt64LE(4) };
    case TYPE.decline:
      if (bytes.length !== LENGTH.decline) return undefined;
      return { type: 'decline', tuple: bytes.subarray(4, 40), diagnosis: bytes.readUInt32LE(40) };
    default:
      return undefined;
  }
}

function decodeOffer(bytes: Buffer): ControlMessage | undefined {
  const known = bytes.readUInt32LE(60);
  const syn = bytes.readUInt32LE(64);
  if (known > 1 || (known === 0 && syn !== 0)) return undefined;
  const tuple = bytes.subarray(4, 40);
  return { type: 'offer', tuple, token: bytes.readBigUInt64LE(40), ...getSlot(bytes, 48), syn: known === 1 ? syn : undefined };
}

function putSlot(bytes: Buffer, at: number, slot: number, element: ElementName): void {
  bytes.writeUInt32LE(slot, at);
  bytes.writeUInt32LE(element.segment, at + 4);
  bytes.writeUInt32LE(element.index, at + 8);
}

function getSlot(bytes: Buffer, at: number): { slot: number; element: ElementName } {
  return { slot: bytes.readUInt32LE(at), element: { segment: bytes.readUInt32LE(at + 4), index: bytes.readUInt32LE(at + 8) } };
}
