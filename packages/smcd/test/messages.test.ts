// messages.test.ts - the codec of the control messages: nothing is lost, and nothing is thrown, whatever the bytes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ControlMessage, decode, encode, INSTANCE_BYTES, PROTOCOL_VERSION, TUPLE_BYTES } from '../dist/messages.js';

fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 7609) });

const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((value) => Buffer.from(value));
const element = fc.record({ segment: u32, index: u32 });

const MESSAGES = {
  hello: fc.record({ type: fc.constant('hello' as const), version: u32, instance: bytes(INSTANCE_BYTES), linkGroup: u32 }),
  segment: fc.record({ type: fc.constant('segment' as const), id: u32, elements: u32, capacity: u32 }),
  offer: fc.record({
    type: fc.constant('offer' as const),
    tuple: bytes(TUPLE_BYTES),
    token: u64,
    slot: u32,
    element,
    syn: fc.option(u32, { nil: undefined }),
  }),
  answer: fc.record({ type: fc.constant('answer' as const), offered: u64, token: u64, slot: u32, element }),
  refuse: fc.record({ type: fc.constant('refuse' as const), offered: u64 }),
  decline: fc.record({ type: fc.constant('decline' as const), tuple: bytes(TUPLE_BYTES), diagnosis: u32 }),
} satisfies Record<ControlMessage['type'], fc.Arbitrary<ControlMessage>>;
const message: fc.Arbitrary<ControlMessage> = fc.oneof(...Object.values(MESSAGES));

describe('control messages', () => {
  it.each(Object.entries(MESSAGES))('give every %s back as it was', (_type, arbitrary) => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<ControlMessage>, (it) => {
        expect(decode(encode(it))).toEqual(it);
      }),
    );
  });

  it('of arbitrary bytes are undefined or can be written again as they were', () => {
    const type = fc.nat(8).map((value) => Uint8Array.of(value, 0, 0, 0));
    const any = fc
      .tuple(fc.oneof(type, fc.uint8Array({ maxLength: 8 })), fc.uint8Array({ maxLength: 80 }))
      .map(([head, body]) => Buffer.concat([head, body]));
    fc.assert(
      fc.property(any, (it) => {
        const read = decode(it);
        if (read !== undefined) expect(encode(read)).toEqual(it);
      }),
      { numRuns: 5000 },
    );
  });

  it('have exactly one length', () => {
    fc.assert(
      fc.property(message, fc.integer({ min: -70, max: 70 }), (it, change) => {
        const whole = encode(it);
        const length = whole.length + change;
        if (change === 0 || length < 0) return;
        expect(decode(Buffer.concat([whole, Buffer.alloc(70)]).subarray(0, length))).toBeUndefined();
      }),
    );
  });

  it('are little-endian on the wire', () => {
    const instance = Buffer.from([...Array(INSTANCE_BYTES).keys()]);
    expect(encode({ type: 'hello', version: PROTOCOL_VERSION, instance, linkGroup: 0x01020304 }).toString('hex')).toBe(
      '0100000002000000000102030405060708090a0b0c0d0e0f04030201',
    );
    expect(encode({ type: 'segment', id: 1, elements: 4, capacity: 0x40000 }).toString('hex')).toBe('02000000010000000400000000000400');
    expect(encode({ type: 'refuse', offered: 0x0102030405060708n }).toString('hex')).toBe('050000000807060504030201');
    const answer = { type: 'answer' as const, offered: 1n, token: 2n, slot: 3, element: { segment: 4, index: 5 } };
    const offer = { type: 'offer', tuple: Buffer.alloc(TUPLE_BYTES, 0xaa), token: 1n, slot: 2, element: { segment: 3, index: 4 } } as const;
    const known = `03000000${'aa'.repeat(TUPLE_BYTES)}0100000000000000020000000300000004000000`;
    expect(encode({ ...offer, syn: 0x01020304 }).toString('hex')).toBe(`${known}0100000004030201`);
    expect(encode({ ...offer, syn: undefined }).toString('hex')).toBe(`${known}0000000000000000`);
    // Neither known nor unknown.
    for (const wrong of ['0000000001000000', '0200000001000000']) expect(decode(Buffer.from(known + wrong, 'hex'))).toBeUndefined();
    expect(encode(answer).toString('hex')).toBe('0400000001000000000000000200000000000000030000000400000005000000');
  });
});
