// subnet.test.ts - addresses as GIDs and back, and which of them are in one subnet.

import fc from 'fast-check';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { addressOfGid, gidOfAddress, interfacesOf, isDirect } from '../src/backend/subnet.js';

const hex = (gid: Uint8Array | undefined): string | undefined => gid && Buffer.from(gid).toString('hex');

describe('the GID of an address', () => {
  it.each([
    ['127.0.0.1', '00000000000000000000ffff7f000001'],
    ['::1', '00000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    ['fe80::1:2%eth0', 'fe800000000000000000000000010002'],
    ['2001:db8::', '20010db8000000000000000000000000'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:10.0.0.2', '00000000000000000000ffff0a000002'],
  ])('%s', (address, gid) => {
    expect(hex(gidOfAddress(address))).toBe(gid);
  });

  it.each(['', 'host', '1:2', '12345::', '1::2::3:4:5:6:7:8:9'])('is none for %j', (address) => {
    expect(gidOfAddress(address)).toBeUndefined();
  });

  it('comes back from the address of any GID', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (gid) => {
        expect(hex(gidOfAddress(addressOfGid(gid).address))).toBe(hex(gid));
      }),
    );
  });
});

describe('two GIDs', () => {
  const gid = (address: string) => gidOfAddress(address) as Uint8Array;

  it('are in one subnet when the interface of ours says so', () => {
    // The loopback interface is 127.0.0.1/8 everywhere.
    expect(isDirect(gid('127.0.0.1'), gid('127.9.9.9'))).toBe(true);
    expect(isDirect(gid('127.0.0.1'), gid('10.0.0.1'))).toBe(false);
    expect(isDirect(gid('127.0.0.1'), gid('::1'))).toBe(false);
  });

  it('may be, when the interface is not known', () => {
    expect(isDirect(gid('192.0.2.1'), gid('198.51.100.1'))).toBe(true);
  });
});

it('an interface is found by its addresses', () => {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { address } of addresses ?? []) expect(interfacesOf(address)).toContain(name);
  }
  expect(interfacesOf('192.0.2.1')).toEqual([]);
});
