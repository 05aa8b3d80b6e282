// clc.test.ts - what client and server agree on, and what is declined with which code.

import { type ClcAcceptConfirmR, type ClcProposal, decode, encode, REASONS } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import {
  type Agreement,
  agreedByAccept,
  choose,
  confirmMismatch,
  DIAGNOSIS,
  elementEndOf,
  linkEndOf,
  type LocalTerms,
  smcrProposal,
} from '../src/clc/index.js';
import { hex, vector } from './vectors.js';

const gid = hex('00000000000000000000ffff0a000002');
const local: LocalTerms = {
  peerId: hex('0001020304050607'),
  gid,
  mac: hex('020304050607'),
  ueids: ['OTHER', 'SMCQ-TEST-EID'],
  maxConns: 100,
  maxLinks: 2,
};
const subnet = { prefix: Uint8Array.of(10, 0, 0, 0), length: 24 };
const withV1: LocalTerms = { ...local, v1: { gid, ipv4: subnet, ipv6: [] } };
const linux = decode(vector('clc-proposal')) as ClcProposal;
const changed = (extension: Partial<NonNullable<ClcProposal['extension']>>): ClcProposal => ({
  ...linux,
  extension: { ...(linux.extension as NonNullable<ClcProposal['extension']>), ...extension },
});
const v1Only: ClcProposal = (({ extension: _, ...rest }) => ({
  ...rest,
  version: 1 as const,
  v1: 'smcr' as const,
  v2: 'none' as const,
  ipv4Prefix: subnet,
}))(linux);

describe('a Proposal', () => {
  it('of ours is read by ours and offers 2.1', () => {
    const proposal = decode(encode(smcrProposal(local))) as ClcProposal;
    expect(proposal).toMatchObject({ version: 2, v1: 'none', v2: 'smcr', extension: { release: 1, maxConns: 100, maxLinks: 2 } });
    expect(choose(proposal, { ...local, ueids: ['SMCQ-TEST-EID', 'OTHER'] })).toEqual({
      version: 2,
      eid: 'OTHER',
      release: 1,
      maxConns: 100,
      maxLinks: 2,
    });
  });

  it('with version 1, too, tells its subnet', () => {
    expect(decode(encode(smcrProposal(withV1)))).toMatchObject({ v1: 'smcr', v2: 'smcr', ipv4Prefix: subnet });
  });

  it.each<[string, ClcProposal, LocalTerms, Agreement | number]>([
    [
      'of Linux is taken with the smaller limits',
      linux,
      local,
      { version: 2, eid: 'SMCQ-TEST-EID', release: 1, maxConns: 100, maxLinks: 1 },
    ],
    [
      'of a later release is taken as 2.1',
      changed({ release: 3 }),
      local,
      { version: 2, eid: 'SMCQ-TEST-EID', release: 1, maxConns: 100, maxLinks: 1 },
    ],
    [
      'of release 0 means two links',
      changed({ release: 0, maxConns: 0, maxLinks: 0 }),
      local,
      { version: 2, eid: 'SMCQ-TEST-EID', release: 0, maxConns: 100, maxLinks: 2 },
    ],
    ['without an EID in common is declined', changed({ ueids: ['ELSE'] }), local, DIAGNOSIS.noUeid],
    ['with too few connections is declined', changed({ maxConns: 15 }), local, DIAGNOSIS.maxConns],
    ['without a link is declined', changed({ maxLinks: 0 }), local, DIAGNOSIS.maxLinks],
    ['of SMC-D is declined', { ...linux, v2: 'smcd' }, local, DIAGNOSIS.modesDiffer],
    ['of version 1 is declined where there is no RoCEv1', v1Only, local, DIAGNOSIS.version],
    ['of version 1 in the same subnet is taken', v1Only, withV1, { version: 1, eid: '', release: 0, maxConns: 100, maxLinks: 2 }],
    ['of version 1 from another subnet is declined', { ...v1Only, ipv4Prefix: { ...subnet, length: 16 } }, withV1, DIAGNOSIS.subnet],
    [
      'that offers both falls back to version 1',
      { ...changed({ ueids: ['ELSE'] }), v1: 'both', ipv4Prefix: subnet },
      withV1,
      { version: 1, eid: '', release: 0, maxConns: 100, maxLinks: 2 },
    ],
    ['that offers both is declined for what version 2 lacked', { ...changed({ ueids: ['ELSE'] }), v1: 'smcr' }, withV1, DIAGNOSIS.noUeid],
  ])('%s', (_name, proposal, terms, expected) => {
    expect(choose(proposal, terms)).toEqual(expected);
  });
});

describe('an Accept', () => {
  const accept = decode(vector('clc-accept-first-contact')) as ClcAcceptConfirmR;
  const extended = (change: object): ClcAcceptConfirmR => ({
    ...accept,
    firstContactExtension: { ...accept.firstContactExtension, ...change } as NonNullable<ClcAcceptConfirmR['firstContactExtension']>,
  });
  const terms = { ...local, maxConns: 255, maxLinks: 1 };

  it('of Linux says how its link and element are reached', () => {
    expect(linkEndOf(accept)).toEqual({ gid, mac: hex('32f5ecb81fbc'), qpNumber: 0x11, psn: 0xa634bc, mtu: 3 });
    expect(elementEndOf(accept)).toEqual({ rkey: 0x320, address: 0xff43e41ec4320000n, index: 1, size: 65536, token: 1 });
  });

  it.each<[string, ClcAcceptConfirmR, LocalTerms, unknown]>([
    ['of Linux is fine', accept, terms, { version: 2, eid: 'SMCQ-TEST-EID', release: 1, maxConns: 255, maxLinks: 1 }],
    ['with an EID we did not offer is declined', { ...accept, eid: 'ELSE' }, terms, DIAGNOSIS.noUeid],
    ['through a gateway is declined', extended({ direct: false }), terms, DIAGNOSIS.noRoute],
    ['of a later release is declined', extended({ release: 2 }), terms, DIAGNOSIS.release],
    ['with more connections than offered is declined', accept, { ...terms, maxConns: 100 }, DIAGNOSIS.maxConns],
    ['with more links than offered is declined', extended({ maxLinks: 2 }), terms, DIAGNOSIS.maxLinks],
    ['of version 1 is declined where that was not offered', { ...accept, version: 1 }, terms, DIAGNOSIS.version],
  ])('%s', (_name, message, options, expected) => {
    expect(agreedByAccept(message, options)).toEqual(expected);
  });

  it('has to be repeated by the Confirm', () => {
    const confirm = { ...decode(vector('clc-confirm-first-contact')) } as ClcAcceptConfirmR;
    const own = { ...accept, eid: confirm.eid };
    const different = (change: object): ClcAcceptConfirmR => ({
      ...own,
      firstContactExtension: { ...own.firstContactExtension, ...change } as NonNullable<ClcAcceptConfirmR['firstContactExtension']>,
    });
    expect(confirmMismatch(confirm, own)).toBeUndefined();
    expect(confirmMismatch(confirm, different({ release: 0 }))).toBe(DIAGNOSIS.release);
    expect(confirmMismatch(confirm, different({ maxConns: 16 }))).toBe(DIAGNOSIS.maxConns);
    expect(confirmMismatch(confirm, different({ maxLinks: 2 }))).toBe(DIAGNOSIS.maxLinks);
    expect(confirmMismatch(confirm, { ...own, eid: 'ELSE' })).toBe(DIAGNOSIS.noUeid);
  });
});

describe('a diagnosis', () => {
  it('has a reason in the table of all transports', () => {
    const known = new Set<number>(Object.values(REASONS).map(({ code }) => code));
    for (const code of Object.values(DIAGNOSIS)) expect(known).toContain(code);
  });
});
