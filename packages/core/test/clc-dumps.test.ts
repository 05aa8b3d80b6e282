// clc-dumps.test.ts - one hex dump, written by hand from the layout, per SMC-D message and per form Linux 6.12 no longer sends.

import { describe, expect, it } from 'vitest';
import { CLC_OS, type ClcMessage, decode, encode, ismDevices } from '../src/clc/index.js';
import { hex, toHex } from './clc-helpers.js';

const SMCR = 'e2d4c3d9';
const SMCD = 'e2d4c3c4';
const zeros = (count: number) => '00'.repeat(count);
const text = (value: string) => Buffer.from(value.padEnd(32)).toString('hex');

const proposalD: [string, ClcMessage] = [
  `${SMCD} 01 0103 25          # SMC-Dv1, SMC-Dv2, 259 bytes
   ${zeros(8 + 16 + 6)} 0028   # no peer id, GID, MAC; IP area at 80
   1122334455667788 0007 0035  # ISM GID, CHID; extension at 105
   0a0b0c 0102030405 ${zeros(20)}
   c0a80100 18 0000 01         # 192.168.1.0/24, one IPv6 prefix
   20010db8${zeros(12)} 40
   01 03 00 11 0000 0040       # 1 UEID, 3 ISM entries, release 1 with SEID; SMC-D extension at 177
   ${zeros(16)} 00 00 0001 ${zeros(12)}
   ${text('USER-EID')}
   ${text('IBM-SYSZ-ISMSEID0000000012345678')} ${zeros(16)}
   1122334455667788 0007
   aaaaaaaaaaaaaaaa ff01  bbbbbbbbbbbbbbbb ff01
   ${SMCD}`,
  {
    type: 'proposal',
    path: 'smcd',
    version: 2,
    v1: 'smcd',
    v2: 'smcd',
    peerId: new Uint8Array(8),
    roceV1Gid: new Uint8Array(16),
    mac: new Uint8Array(6),
    ipv4Prefix: { prefix: hex('c0a80100'), length: 24 },
    ipv6Prefixes: [{ prefix: hex(`20010db8${zeros(12)}`), length: 64 }],
    smcdV1: { gid: 0x1122334455667788n, chid: 7 },
    vendorOui: hex('0a0b0c'),
    vendorOptions: hex('0102030405'),
    extension: {
      ueids: ['USER-EID'],
      release: 1,
      seidPresent: true,
      roceV2Gid: new Uint8Array(16),
      maxConns: 0,
      maxLinks: 0,
      features: 1,
      smcd: {
        seid: 'IBM-SYSZ-ISMSEID0000000012345678',
        gids: [
          { gid: 0x1122334455667788n, chid: 7 },
          { gid: 0xaaaaaaaaaaaaaaaan, chid: 0xff01 },
          { gid: 0xbbbbbbbbbbbbbbbbn, chid: 0xff01 },
        ],
      },
    },
  },
];

const acceptD: [string, ClcMessage] = [
  `${SMCD} 02 0082 29                    # first contact, SMC-D, 130 bytes
   aaaaaaaaaaaaaaaa 0123456789abcdef      # GID, DMB token
   02 40 0000 deadbeef                    # DMBE 2 of 256 KiB; link id
   ff01 ${text('USER-EID')} bbbbbbbbbbbbbbbb
   00 21 0000 ${text('host.example')}     # Linux, release 1
   00 00 0001 01020304 ${zeros(8)}
   ${SMCD}`,
  {
    type: 'accept',
    path: 'smcd',
    version: 2,
    firstContact: true,
    gid: 0xaaaaaaaaaaaaaaaan,
    token: 0x0123456789abcdefn,
    dmbeIndex: 2,
    dmbeSizeCode: 4,
    linkId: 0xdeadbeef,
    chid: 0xff01,
    eid: 'USER-EID',
    gidExt: 0xbbbbbbbbbbbbbbbbn,
    firstContactExtension: {
      direct: false,
      os: CLC_OS.linux,
      release: 1,
      hostname: 'host.example',
      maxConns: 0,
      maxLinks: 0,
      features: 1,
      vendorOptions: hex('01020304'),
      gids: [],
    },
  },
];

const bodyD = {
  gid: 0x1122334455667788n,
  token: 0x8000000000000001n,
  dmbeIndex: 0,
  dmbeSizeCode: 2,
  linkId: 5,
} as const;
const bodyDHex = '1122334455667788 8000000000000001 00 20 0000 00000005';

const acceptD20: [string, ClcMessage] = [
  `${SMCD} 02 0072 29 ${bodyDHex} 0007 ${zeros(32)} ${zeros(8)}
   00 10 0000 ${text('ZOS')} # z/OS, release 0: nothing follows the hostname
   ${SMCD}`,
  {
    type: 'accept',
    path: 'smcd',
    version: 2,
    firstContact: true,
    ...bodyD,
    chid: 7,
    eid: '',
    gidExt: 0n,
    firstContactExtension: { direct: false, os: CLC_OS.zos, release: 0, hostname: 'ZOS', maxConns: 0, maxLinks: 0, features: 0, gids: [] },
  },
];

const confirmD: [string, ClcMessage] = [
  `${SMCD} 03 004e 21 ${bodyDHex} 0007 ${text('USER-EID')} ${zeros(8)} ${SMCD}`,
  { type: 'confirm', path: 'smcd', version: 2, firstContact: false, ...bodyD, chid: 7, eid: 'USER-EID', gidExt: 0n },
];

const confirmD1: [string, ClcMessage] = [
  `${SMCD} 03 0030 19 ${bodyDHex} ${zeros(12)} ${SMCD}`,
  { type: 'confirm', path: 'smcd', version: 1, firstContact: true, ...bodyD, chid: 0, eid: '', gidExt: 0n },
];

const declineD: [string, ClcMessage] = [
  `${SMCD} 04 002c 29 0102030405060708 04000000 20 000000
   00000001 00000002 00000003 00000004 ${SMCD}`,
  {
    type: 'decline',
    path: 'smcd',
    version: 2,
    peerId: hex('0102030405060708'),
    diagnosis: 0x04000000,
    outOfSync: true,
    os: CLC_OS.linux,
    furtherDiagnoses: [1, 2, 3, 4],
  },
];

const classicProposal: [string, ClcMessage] = [
  `${SMCR} 01 0034 10
   0001 0a0b0c0d0e0f  fe80${zeros(6)}080b0cfffe0d0e0f  0a0b0c0d0e0f  0000
   0a000000 08 0000 00 ${SMCR}`,
  {
    type: 'proposal',
    path: 'smcr',
    version: 1,
    v1: 'smcr',
    v2: 'none',
    peerId: hex('00010a0b0c0d0e0f'),
    roceV1Gid: hex(`fe80${zeros(6)}080b0cfffe0d0e0f`),
    mac: hex('0a0b0c0d0e0f'),
    ipv4Prefix: { prefix: hex('0a000000'), length: 8 },
    ipv6Prefixes: [],
    smcdV1: { gid: 0n, chid: 0 },
  },
];

const acceptR1: [string, ClcMessage] = [
  `${SMCR} 02 0044 18
   0001 0a0b0c0d0e0f  fe80${zeros(6)}080b0cfffe0d0e0f  0a0b0c0d0e0f
   abcdef 01020304 01 fffffffe f5 00 0000700000000000 00 ffffff ${SMCR}`,
  {
    type: 'accept',
    path: 'smcr',
    version: 1,
    firstContact: true,
    peerId: hex('00010a0b0c0d0e0f'),
    gid: hex(`fe80${zeros(6)}080b0cfffe0d0e0f`),
    mac: hex('0a0b0c0d0e0f'),
    qpNumber: 0xabcdef,
    rkey: 0x01020304,
    rmbeIndex: 1,
    alertToken: 0xfffffffe,
    rmbeSizeCode: 15,
    qpMtu: 5,
    rmbAddress: 0x0000700000000000n,
    psn: 0xffffff,
    eid: '',
  },
];

describe('hand-written CLC messages', () => {
  it.each([
    ['Proposal of SMC-D with an emulated device', ...proposalD],
    ['Accept of SMC-Dv2.1, first contact', ...acceptD],
    ['Accept of SMC-Dv2.0, first contact', ...acceptD20],
    ['Confirm of SMC-Dv2', ...confirmD],
    ['Confirm of SMC-Dv1', ...confirmD1],
    ['Decline of SMC-D, out of sync', ...declineD],
    ['Proposal of version 1 (RFC 7609)', ...classicProposal],
    ['Accept of version 1 (RFC 7609)', ...acceptR1],
  ])('%s is read and written as laid out', (_name, dump, message) => {
    const bytes = hex(dump.replace(/#.*$/gm, ''));
    expect(decode(bytes)).toEqual(message);
    expect(toHex(encode(message))).toBe(toHex(bytes));
  });

  it('an emulated device is put together from its two entries', () => {
    const message = decode(hex(proposalD[0].replace(/#.*$/gm, '')));
    if (message.type !== 'proposal') throw new Error(message.type);
    expect(ismDevices(message.extension?.smcd?.gids ?? [])).toEqual([
      { gid: 0x1122334455667788n, gidExt: 0n, chid: 7 },
      { gid: 0xaaaaaaaaaaaaaaaan, gidExt: 0xbbbbbbbbbbbbbbbbn, chid: 0xff01 },
    ]);
  });
});
