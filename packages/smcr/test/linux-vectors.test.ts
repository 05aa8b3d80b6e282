// linux-vectors.test.ts - what Linux sends is read, and written again to the same bytes.

import { endianness } from 'node:os';
import { decode, encode } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { CDC_LENGTH, emptyCdc, readCdc, writeCdc } from '../src/cdc/index.js';
import { decodeLlc, encodeLlc, type LlcMessage } from '../src/llc/index.js';
import { hex, toHex, VECTORS, vector } from './vectors.js';

const of = (kind: string) => VECTORS.filter(({ name }) => name.startsWith(kind));
/** Version 2 has two fields in the sender's byte order; the captures are of x86. */
const bigEndian = endianness() === 'BE';

describe('messages of Linux', () => {
  it('are all there', () => {
    expect([of('clc').length, of('llc').length, of('cdc').length]).toEqual([14, 22, 6]);
  });

  it.each(of('clc'))('CLC: $name is written again to the same bytes', ({ hex: dump, length }) => {
    const bytes = hex(dump);
    expect(bytes.length).toBe(length);
    expect(toHex(encode(decode(bytes)))).toBe(dump);
  });

  it.for(of('llc'))('LLC: $name is written again to the same bytes', ({ hex: dump, length }, ctx) => {
    if (bigEndian) ctx.skip('written in the byte order of this machine, which is not that of the capture');
    const bytes = hex(dump);
    expect(bytes.length).toBe(length);
    expect(toHex(encodeLlc(decodeLlc(bytes) as LlcMessage))).toBe(dump);
  });

  it.each(of('cdc'))('CDC: $name is written again to the same bytes', ({ hex: dump }) => {
    const message = emptyCdc();
    expect(readCdc(hex(dump), 0, CDC_LENGTH, message)).toBe(true);
    const out = new Uint8Array(CDC_LENGTH).fill(0xff);
    writeCdc(out, 0, message);
    expect(toHex(out)).toBe(dump);
  });

  it('a second link crosses the devices: ADD LINK carries the rkeys of the new link', () => {
    expect(decodeLlc(vector('llc-add-link-request'))).toEqual({
      type: 'add-link',
      version: 2,
      response: false,
      mac: hex('0aa7658061c1'),
      gid: hex('00000000000000000000ffff0a000001'),
      qpNumber: 0x12,
      linkNumber: 2,
      qpMtu: 3,
      psn: 0xc5bfbb,
      rejected: false,
      rejectReason: 0,
      extension: {
        direct: true,
        targetGid: hex('00000000000000000000ffff0a000001'),
        rkeys: [{ rkey: 0x6f6, newRkey: 0x50a, newAddress: 0xff43e41ec4370000n }],
      },
    });
    expect(decodeLlc(vector('llc-add-link-response-2'))).toMatchObject({ response: true, rejected: true });
  });

  it('the same message in the other byte order is read alike', () => {
    const bytes = vector('llc-add-link-request');
    const swapped = bytes.slice();
    swapped.set([0x00, 0x58], 1);
    swapped.set([0x00, 0x01], 70);
    expect(decodeLlc(swapped)).toEqual(decodeLlc(bytes));
  });

  it('a close says that all was read', () => {
    const message = emptyCdc();
    readCdc(vector('cdc-closed-2'), 0, CDC_LENGTH, message);
    expect(message).toEqual({
      sequence: 2,
      token: 2,
      producerWrap: 0,
      producerOffset: 0x40,
      consumerWrap: 0,
      consumerOffset: 0x45,
      flags: 0,
      state: 0x40,
    });
  });
});
