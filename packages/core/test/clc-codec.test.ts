// clc-codec.test.ts - properties of the CLC codec: nothing is lost, nothing but ERR_SMC_CLC is thrown, whatever the bytes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CLC_MAX_LENGTH,
  type ClcAcceptConfirmD,
  type ClcMessage,
  type ClcProposal,
  decode,
  encode,
  ismDevices,
  ismGidEntries,
} from '../src/clc/index.js';
import { clcError, hex, MESSAGES, message, onlyClcErrors, toHex, VECTORS } from './clc-helpers.js';

const proposal = decode(hex(VECTORS[0]?.hex ?? '')) as ClcProposal;
const acceptR = decode(hex(VECTORS[1]?.hex ?? ''));
const confirmD: ClcAcceptConfirmD = {
  type: 'confirm',
  path: 'smcd',
  version: 2,
  firstContact: false,
  gid: 1n,
  gidExt: 2n,
  token: 3n,
  dmbeIndex: 0,
  dmbeSizeCode: 0,
  linkId: 4,
  chid: 5,
  eid: 'EID',
};

describe('the CLC codec', () => {
  it.each(Object.entries(MESSAGES))('gives every %s back as it was', (_kind, arbitrary) => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<ClcMessage>, (it) => {
        const bytes = encode(it);
        expect(bytes.length).toBeLessThanOrEqual(CLC_MAX_LENGTH);
        expect(decode(bytes)).toEqual(it);
      }),
    );
  });

  it('throws nothing but ERR_SMC_CLC for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        onlyClcErrors(() => decode(bytes));
      }),
    );
  });

  it('throws nothing but ERR_SMC_CLC for arbitrary bytes in a valid frame', () => {
    const frame = fc.tuple(
      fc.uint8Array({ minLength: 16, maxLength: 700 }),
      fc.constantFrom(0xd9, 0xc4),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 16, max: 47 }),
    );
    fc.assert(
      fc.property(frame, ([body, last, type, version]) => {
        const eyecatcher = [0xe2, 0xd4, 0xc3, last];
        body.set([...eyecatcher, type, body.length >> 8, body.length & 0xff, version]);
        body.set(eyecatcher, body.length - 4);
        onlyClcErrors(() => decode(body));
      }),
      { numRuns: 2000 },
    );
  });

  it('throws nothing but ERR_SMC_CLC for messages with bytes changed, and can write what it still reads', () => {
    const changed = fc.tuple(
      fc.oneof(fc.constantFrom(...VECTORS.map((it) => hex(it.hex))), message.map(encode)),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
    );
    fc.assert(
      fc.property(changed, ([original, changes]) => {
        const bytes = Uint8Array.from(original);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const read = onlyClcErrors(() => decode(bytes));
        if (read !== undefined) expect(decode(encode(read))).toEqual(read);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a message with every byte of the captured ones set to every extreme, or reads it', () => {
    for (const { hex: dump } of VECTORS) {
      const original = hex(dump);
      for (let at = 0; at < original.length; at++) {
        for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
          const bytes = Uint8Array.from(original);
          bytes[at] = value;
          onlyClcErrors(() => decode(bytes));
        }
      }
    }
  });

  it('refuses every message that is cut off or has a byte too many', () => {
    for (const { hex: dump } of VECTORS) {
      const bytes = hex(dump);
      for (let length = 0; length < bytes.length; length++) clcError(() => decode(bytes.subarray(0, length)));
      clcError(() => decode(Buffer.concat([bytes, Buffer.alloc(1)])));
    }
  });

  it.each([
    ['eyecatcher', 2, 0xc4, /no eyecatcher at offset 2/],
    ['type', 4, 5, /unknown type 5 at offset 4/],
    ['length', 6, 0xff, /length 255 .* at offset 5/],
    ['version', 7, 0x32, /unknown version 3 at offset 7/],
    ['IP area that is announced but missing', 7, 0x20, /IP area offset 0 at offset 38/],
    ['extension offset', 51, 0x24, /extension offset 36 at offset 50/],
    ['number of UEIDs', 80, 9, /9 UEIDs at offset 80/],
    ['number of UEIDs that does not fit the length', 80, 2, /length 156 of parts that take 188 at offset 5|ends inside a field/],
    ['trailer', 155, 0xc4, /trailer at offset 155/],
  ])('names the offset of a wrong %s', (_what, at, value, expected) => {
    const bytes = hex(VECTORS[0]?.hex ?? '');
    bytes[at] = value;
    expect(clcError(() => decode(bytes)).message).toMatch(expected);
  });

  it.each([
    ['RMBE index 0', 45, 0],
    ['QP MTU code 0', 50, 0x20],
    ['QP MTU code 6', 50, 0x26],
    ['alert token 0', 49, 0],
    ['a type other than its eyecatcher', 7, 0x29],
  ])('refuses an Accept of SMC-R with %s', (_what, at, value) => {
    const bytes = encode(acceptR);
    bytes[at] = value;
    clcError(() => decode(bytes));
  });

  it('ignores reserved bytes', () => {
    const bytes = hex(VECTORS[0]?.hex ?? '');
    for (const at of [60, 79, 82, 84, 85, 108, 119]) bytes[at] = 0xff;
    expect(decode(bytes)).toEqual(proposal);
  });

  it('reads a message whose release is newer than ours', () => {
    const bytes = encode(proposal);
    bytes[83] = 0x20;
    expect(decode(bytes)).toHaveProperty('extension.release', 2);
  });

  it('gives a message that shares no memory with its bytes', () => {
    const bytes = Buffer.from(VECTORS[1]?.hex ?? '', 'hex');
    const read = decode(bytes);
    bytes.fill(0xff);
    expect(toHex(encode(read))).toBe(VECTORS[1]?.hex);
  });

  it.each<[string, ClcMessage]>([
    ['a peer id of 7 bytes', { ...proposal, peerId: new Uint8Array(7) }],
    ['an extension without an offer', { ...proposal, v1: 'smcr', v2: 'none' }],
    ['an SMC-D offer without its extension', { ...proposal, v2: 'both' }],
    ['a version 1 that offers nothing', { ...proposal, version: 1 }],
    ['prefixes nobody can see', { ...proposal, ipv4Prefix: { prefix: new Uint8Array(4), length: 8 } }],
    ['a prefix of 33 bits', { ...proposal, v1: 'smcr', ipv4Prefix: { prefix: new Uint8Array(4), length: 33 } }],
    ['an EID of 33 characters', { ...confirmD, eid: 'E'.repeat(33) }],
    ['an EID beyond one byte per character', { ...confirmD, eid: '\u20ac' }],
    ['a token of 65 bits', { ...confirmD, token: 2n ** 64n }],
    ['a negative GID', { ...confirmD, gid: -1n }],
    ['a link id of 33 bits', { ...confirmD, linkId: 2 ** 32 }],
    ['a fraction', { ...confirmD, dmbeIndex: 0.5 }],
    ['a size code of 16', { ...confirmD, dmbeSizeCode: 16 }],
    ['a CHID in version 1', { ...confirmD, version: 1, eid: '' }],
    ['a first contact without its extension', { ...confirmD, firstContact: true }],
    ['an EID in version 1', { ...confirmD, version: 1, chid: 0, gidExt: 0n }],
    ['a version 3', { ...confirmD, version: 3 as 2 }],
  ])('refuses to write %s', (_what, wrong) => {
    expect(clcError(() => encode(wrong)).message).toMatch(/cannot be encoded/);
  });
});

describe('GIDs of ISM devices', () => {
  const device = fc.record({
    gid: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    gidExt: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    chid: fc.integer({ min: 0xfe00, max: 0xffff }),
  });

  it('take two entries for an emulated device, one for any other, and come back', () => {
    fc.assert(
      fc.property(fc.array(device), (list) => {
        const devices = list.map((it) => (it.chid < 0xff00 ? { ...it, gidExt: 0n } : it));
        const entries = ismGidEntries(devices);
        expect(entries.length).toBe(devices.reduce((sum, it) => sum + (it.chid < 0xff00 ? 1 : 2), 0));
        expect(ismDevices(entries)).toEqual(devices);
      }),
    );
  });

  it('are refused when half of an emulated one is missing', () => {
    clcError(() => ismDevices([{ gid: 1n, chid: 0xff00 }]));
    clcError(() =>
      ismDevices([
        { gid: 1n, chid: 0xff00 },
        { gid: 2n, chid: 0xff01 },
      ]),
    );
    clcError(() => ismGidEntries([{ gid: 1n, gidExt: 2n, chid: 7 }]));
  });
});
