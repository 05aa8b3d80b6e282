// llc-dumps.test.ts - one hex dump per LLC message, written by hand from the layout, most in version 1 as RFC 7609 has it.

import { describe, expect, it } from 'vitest';
import { DELETE_REASON, decodeLlc, encodeLlc, type LlcMessage } from '../src/llc/index.js';
import { LITTLE_ENDIAN } from '../src/llc/header.js';
import { hex, toHex } from './vectors.js';

const zeros = (count: number) => '00'.repeat(count);
const gid = 'fe80 0000 0000 0000 080b 0cff fe0d 0e0f';
const mac = '0a0b0c0d0e0f';
const u16 = (value: number) => {
  const view = Buffer.alloc(2);
  if (LITTLE_ENDIAN) view.writeUInt16LE(value);
  else view.writeUInt16BE(value);
  return view.toString('hex');
};

const DUMPS: readonly [name: string, dump: string, message: LlcMessage][] = [
  [
    'CONFIRM LINK',
    `01 2c 00 83 ${mac} ${gid} abcdef 05 01020304 02 00 ${zeros(8)}`,
    {
      type: 'confirm-link',
      version: 1,
      response: true,
      mac: hex(mac),
      gid: hex(gid),
      qpNumber: 0xabcdef,
      linkNumber: 5,
      linkUid: 0x01020304,
      maxLinks: 2,
      maxConns: 0,
      noEyecatchers: true,
    },
  ],
  [
    'ADD LINK of version 1, rejected',
    `02 2c 01 c0 ${mac} 0000 ${gid} 000102 03 05 112233 ${zeros(8)}`,
    {
      type: 'add-link',
      version: 1,
      response: true,
      mac: hex(mac),
      gid: hex(gid),
      qpNumber: 0x102,
      linkNumber: 3,
      qpMtu: 5,
      psn: 0x112233,
      rejected: true,
      rejectReason: 1,
    },
  ],
  [
    'ADD LINK of version 2 with two RMBs',
    `22 ${u16(104)} 00 ${mac} 0000 ${gid} 000102 03 05 112233 ${zeros(8)} 80 00 ${gid} ${zeros(8)} ${u16(2)}
     00000001 00000002 0000700000000000  00000003 00000004 0000700000010000`,
    {
      type: 'add-link',
      version: 2,
      response: false,
      mac: hex(mac),
      gid: hex(gid),
      qpNumber: 0x102,
      linkNumber: 3,
      qpMtu: 5,
      psn: 0x112233,
      rejected: false,
      rejectReason: 0,
      extension: {
        direct: true,
        targetGid: hex(gid),
        rkeys: [
          { rkey: 1, newRkey: 2, newAddress: 0x700000000000n },
          { rkey: 3, newRkey: 4, newAddress: 0x700000010000n },
        ],
      },
    },
  ],
  [
    'ADD LINK CONTINUE, the last of three RMBs',
    `03 2c 00 80 02 01 0000 00000001 00000002 0000700000000000 ${zeros(16)} ${zeros(4)}`,
    {
      type: 'add-link-continue',
      version: 1,
      response: true,
      linkNumber: 2,
      remaining: 1,
      rkeys: [{ rkey: 1, newRkey: 2, newAddress: 0x700000000000n }],
    },
  ],
  [
    'DELETE LINK',
    `04 2c 00 60 00 00030000 ${zeros(35)}`,
    { type: 'delete-link', version: 1, response: false, linkNumber: 0, all: true, orderly: true, reason: DELETE_REASON.programEnded },
  ],
  [
    'REQUEST ADD LINK',
    `25 ${u16(60)} 00 ${zeros(20)} 02 000000 ${gid} ${zeros(16)}`,
    { type: 'request-add-link', version: 2, response: false, gids: [hex(gid), hex(zeros(16))] },
  ],
  [
    'CONFIRM RKEY with two further links',
    `06 2c 00 b0 02 11223344 0000700000000000  02 00000002 0000700000010000  03 00000003 0000700000020000 00`,
    {
      type: 'confirm-rkey',
      version: 1,
      response: true,
      rkey: 0x11223344,
      address: 0x700000000000n,
      remaining: 2,
      others: [
        { linkNumber: 2, rkey: 2, address: 0x700000010000n },
        { linkNumber: 3, rkey: 3, address: 0x700000020000n },
      ],
      negative: true,
      retry: true,
    },
  ],
  [
    'TEST LINK',
    `07 2c 00 80 000102030405060708090a0b0c0d0e0f ${zeros(24)}`,
    { type: 'test-link', version: 1, response: true, userData: hex('000102030405060708090a0b0c0d0e0f') },
  ],
  [
    'CONFIRM RKEY CONTINUE',
    `08 2c 00 00 01 04 00000004 0000700000030000 ${zeros(26)}`,
    {
      type: 'confirm-rkey-continue',
      version: 1,
      response: false,
      remaining: 1,
      others: [{ linkNumber: 4, rkey: 4, address: 0x700000030000n }],
      negative: false,
      retry: false,
    },
  ],
  [
    'DELETE RKEY of which the second was unknown',
    `09 2c 00 a0 02 40 0000 00000005 00000006 ${zeros(28)}`,
    { type: 'delete-rkey', version: 1, response: true, rkeys: [5, 6], negative: true, errors: 0x40 },
  ],
];

/** What decoding this throws. */
function refusal(dump: string): string {
  try {
    decodeLlc(hex(dump));
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return 'nothing';
}

describe('hand-written LLC messages', () => {
  it.each(DUMPS)('%s is read and written as laid out', (_name, dump, message) => {
    const bytes = hex(dump);
    expect(decodeLlc(bytes)).toEqual(message);
    expect(toHex(encodeLlc(message))).toBe(toHex(bytes));
  });

  it('what cannot be is ERR_SMC_LLC and says where', () => {
    expect(refusal('07 2c 00 00')).toMatch(/^ERR_SMC_LLC: .*4 bytes/);
    expect(refusal(`07 2b ${zeros(42)}`)).toMatch(/ERR_SMC_LLC: .*length 43 at offset 1/);
    expect(refusal(`27 ffff ${zeros(41)}`)).toMatch(/ERR_SMC_LLC: .*offset 1/);
    expect(refusal(`22 ${u16(72)} 00 ${zeros(66)} ${u16(1)}`)).toMatch(/ERR_SMC_LLC: .*1 RMBs in 72 bytes at offset 70/);
    expect(refusal(`09 2c 00 00 09 ${zeros(39)}`)).toMatch(/ERR_SMC_LLC: .*9 rkeys/);
    expect(refusal(`25 ${u16(44)} 00 ${zeros(20)} 02 ${zeros(19)}`)).toMatch(/ERR_SMC_LLC: .*2 GIDs/);
  });

  it('a first byte without a message is told apart, whatever its length field says', () => {
    expect(decodeLlc(hex(`8a 00 ${zeros(42)}`))).toMatchObject({ type: 'unknown', code: 0x8a });
    expect(decodeLlc(hex(`0a 2c ${zeros(42)}`))).toMatchObject({ type: 'unknown', code: 0x0a });
  });

  it('what has no place in a message is not written', () => {
    const test = { type: 'test-link', version: 2, response: false, userData: new Uint8Array(15) } as const;
    expect(() => encodeLlc(test)).toThrow(expect.objectContaining({ code: 'ERR_SMC_LLC' }));
    const keys = { type: 'delete-rkey', version: 1, response: false, rkeys: Array(9).fill(1), negative: false, errors: 0 } as const;
    expect(() => encodeLlc(keys)).toThrow(/number of rkeys/);
  });
});
