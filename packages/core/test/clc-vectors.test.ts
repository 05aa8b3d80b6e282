// clc-vectors.test.ts - the messages Linux sends: read right, and written again to the same bytes.

import { describe, expect, it } from 'vitest';
import { CLC_OS, type ClcMessage, decode, encode } from '../src/clc/index.js';
import { hex, toHex, VECTORS } from './clc-helpers.js';

const EID = 'SMCQ-TEST-EID';
const gid = (last: string) => hex(`00000000 00000000 0000ffff ${last}`);

function vector(name: string): ClcMessage {
  const found = VECTORS.find((it) => it.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return decode(hex(found.hex));
}

describe('CLC messages of Linux', () => {
  it('are all there', () => {
    expect(new Set(VECTORS.map((it) => decode(hex(it.hex)).type))).toEqual(new Set(['proposal', 'accept', 'confirm', 'decline']));
  });

  it.each(VECTORS)('$name of $length bytes is written again to the same bytes', ({ hex: dump, length }) => {
    const bytes = hex(dump);
    expect(bytes.length).toBe(length);
    expect(toHex(encode(decode(bytes)))).toBe(dump);
  });

  it('a Proposal offers SMC-Rv2 with one EID', () => {
    expect(vector('clc-proposal')).toEqual({
      type: 'proposal',
      path: 'smcr',
      version: 2,
      v1: 'none',
      v2: 'smcr',
      peerId: new Uint8Array(8),
      roceV1Gid: new Uint8Array(16),
      mac: new Uint8Array(6),
      ipv6Prefixes: [],
      smcdV1: { gid: 0n, chid: 0 },
      extension: {
        ueids: [EID],
        release: 1,
        seidPresent: false,
        roceV2Gid: gid('0a000001'),
        maxConns: 255,
        maxLinks: 1,
        features: 1,
      },
    });
  });

  it('an Accept of first contact names queue pair, RMB and limits', () => {
    expect(vector('clc-accept-first-contact')).toEqual({
      type: 'accept',
      path: 'smcr',
      version: 2,
      firstContact: true,
      peerId: hex('8176 0aa7658061c1'),
      gid: gid('0a000002'),
      mac: hex('32f5ecb81fbc'),
      qpNumber: 0x11,
      rkey: 0x320,
      rmbeIndex: 1,
      alertToken: 1,
      rmbeSizeCode: 2,
      qpMtu: 3,
      rmbAddress: 0xff43e41ec4320000n,
      psn: 0xa634bc,
      eid: EID,
      firstContactExtension: {
        direct: true,
        os: CLC_OS.linux,
        release: 1,
        hostname: '(none)',
        maxConns: 255,
        maxLinks: 1,
        features: 1,
        gids: [],
      },
    });
  });

  it('a Confirm of first contact lists the GIDs of the client', () => {
    const message = vector('clc-confirm-first-contact');
    expect(message).toMatchObject({ type: 'confirm', path: 'smcr', qpNumber: 0x11, rkey: 0x3bc, alertToken: 2, psn: 0x65d078 });
    expect(message).toHaveProperty('firstContactExtension.gids', [gid('0a000001'), gid('0a000002')]);
  });

  it('an Accept into an existing group has no extension', () => {
    const message = vector('clc-accept-existing-group');
    expect(message).toMatchObject({ type: 'accept', firstContact: false, alertToken: 3, eid: EID });
    expect(message).not.toHaveProperty('firstContactExtension');
  });

  it('a Decline says why, in both versions', () => {
    const peerId = new Uint8Array(8);
    const base = { type: 'decline', path: 'smcr', peerId, diagnosis: 0x03030000, outOfSync: false };
    expect(vector('clc-decline')).toEqual({ ...base, version: 1, os: 0 });
    expect(vector('clc-decline-2')).toEqual({ ...base, version: 2, os: CLC_OS.linux });
  });
});
