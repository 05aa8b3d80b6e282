// clc-helpers.ts - what the CLC tests share: hex dumps, the captured messages, and arbitrary messages.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import { SmcError } from '../src/errors.js';
import type {
  ClcAcceptConfirmD,
  ClcAcceptConfirmR,
  ClcDecline,
  ClcFirstContact,
  ClcMessage,
  ClcOffer,
  ClcPrefix,
  ClcProposal,
  ClcProposalExtension,
} from '../src/clc/index.js';

// Reproducible by default; another seed explores elsewhere.
fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 7609) });

/** Bytes of a dump; white space is for the reader. */
export function hex(dump: string): Uint8Array {
  return new Uint8Array(Buffer.from(dump.replace(/\s+/g, ''), 'hex'));
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export interface Vector {
  readonly name: string;
  readonly length: number;
  readonly hex: string;
}

/** Messages captured between Linux 6.12 kernels, and between one and a userspace peer, over SMC-R. */
export const VECTORS = JSON.parse(readFileSync(new URL('./vectors/clc.json', import.meta.url), 'utf8')) as readonly Vector[];

/** The ERR_SMC_CLC that `run` must throw. */
export function clcError(run: () => unknown): SmcError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(SmcError);
    expect((error as SmcError).code).toBe('ERR_SMC_CLC');
    return error as SmcError;
  }
  throw new Error('nothing was thrown');
}

/** Passes when `run` returns or throws ERR_SMC_CLC. Anything else it throws is thrown on. */
export function onlyClcErrors<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof SmcError && error.code === 'ERR_SMC_CLC') return undefined;
    throw error;
  }
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Any text with one form on the wire: no blanks at its end, and not only zeros. */
const text = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 32 })
  .map((codes) => String.fromCharCode(...codes).replace(/ +$/, ''));
const version = fc.constantFrom<1 | 2>(1, 2);
const path = fc.constantFrom<'smcr' | 'smcd'>('smcr', 'smcd');
const nonZero = (length: number) => bytes(length).filter((value) => value.some((byte) => byte !== 0));
/** An optional field that reads as absent when it is zero. */
const maybe = <K extends string, T>(key: K, value: fc.Arbitrary<T>): fc.Arbitrary<{ [P in K]?: T }> =>
  fc.option(value, { nil: undefined }).map((it) => (it === undefined ? {} : { [key]: it }) as { [P in K]?: T });

const ismGid = fc.record({ gid: uint64, chid: uint(16) });
const ipv4Prefix: fc.Arbitrary<ClcPrefix> = fc.record({ prefix: nonZero(4), length: fc.integer({ min: 0, max: 32 }) });
const ipv6Prefix: fc.Arbitrary<ClcPrefix> = fc.record({ prefix: bytes(16), length: fc.integer({ min: 0, max: 128 }) });

const extension = (v2: ClcOffer): fc.Arbitrary<ClcProposalExtension> => {
  const smcd = fc.record({ seid: text, gids: fc.array(ismGid, { maxLength: 8 }) });
  return fc
    .record({
      ueids: fc.array(text, { maxLength: 8 }),
      release: uint(4),
      seidPresent: fc.boolean(),
      roceV2Gid: bytes(16),
      maxConns: uint(8),
      maxLinks: uint(8),
      features: uint(16),
      smcd,
    })
    .map(({ smcd: it, ...rest }) => (v2 === 'smcr' ? rest : { ...rest, smcd: it }));
};

const proposal: fc.Arbitrary<ClcProposal> = fc
  .record({
    version,
    v1: fc.constantFrom<ClcOffer>('smcr', 'smcd', 'none', 'both'),
    v2: fc.constantFrom<ClcOffer>('smcr', 'smcd', 'none', 'both'),
  })
  .map((it) => (it.version === 1 ? { ...it, v1: it.v1 === 'none' ? ('smcr' as const) : it.v1, v2: 'none' as const } : it))
  .chain((head) =>
    fc
      .tuple(
        fc.record({ path, peerId: bytes(8), roceV1Gid: bytes(16), mac: bytes(6), smcdV1: ismGid }),
        head.v1 === 'none' ? fc.constant({}) : maybe('ipv4Prefix', ipv4Prefix),
        head.v1 === 'none' ? fc.constant([]) : fc.array(ipv6Prefix, { maxLength: 8 }),
        maybe('vendorOui', nonZero(3)),
        maybe('vendorOptions', nonZero(5)),
        head.v2 === 'none' ? fc.constant({}) : extension(head.v2).map((it) => ({ extension: it })),
      )
      .map(([base, ipv4, ipv6Prefixes, oui, options, ext]) => ({
        type: 'proposal' as const,
        ...head,
        ...base,
        ...ipv4,
        ipv6Prefixes,
        ...oui,
        ...options,
        ...ext,
      })),
  );

const firstContact = (type: 'accept' | 'confirm', on: 'smcr' | 'smcd'): fc.Arbitrary<ClcFirstContact> =>
  fc
    .tuple(
      fc.record({
        direct: fc.boolean(),
        os: uint(4),
        release: uint(4),
        hostname: text,
        maxConns: uint(8),
        maxLinks: uint(8),
        features: uint(16),
        gids: type === 'confirm' && on === 'smcr' ? fc.array(bytes(16), { maxLength: 255 }) : fc.constant([]),
      }),
      maybe('vendorOptions', nonZero(4)),
    )
    .map(([base, options]) =>
      on === 'smcd' && base.release === 0 ? { ...base, maxConns: 0, maxLinks: 0, features: 0 } : { ...base, ...options },
    );

const answerHead = fc.record({
  type: fc.constantFrom<'accept' | 'confirm'>('accept', 'confirm'),
  version,
  firstContact: fc.boolean(),
  eid: text,
});

/** What version 1 cannot say is blanked, what a first contact needs is added. */
const answer = <B extends object>(on: 'smcr' | 'smcd', body: fc.Arbitrary<B>, v1: Partial<B>) =>
  fc.tuple(answerHead, body).chain(([head, rest]) => {
    const base = { ...head, ...rest, path: on, ...(head.version === 1 ? { eid: '', ...v1 } : {}) };
    if (head.version === 1 || !head.firstContact) return fc.constant(base);
    return firstContact(head.type, on).map((it) => ({ ...base, firstContactExtension: it }));
  });

const answerR = answer(
  'smcr',
  fc.record({
    peerId: bytes(8),
    gid: bytes(16),
    mac: bytes(6),
    qpNumber: uint(24),
    rkey: uint(32),
    rmbeIndex: fc.integer({ min: 1, max: 255 }),
    alertToken: fc.integer({ min: 1, max: 0xffffffff }),
    rmbeSizeCode: uint(4),
    qpMtu: fc.integer({ min: 1, max: 5 }),
    rmbAddress: uint64,
    psn: uint(24),
  }),
  {},
) as fc.Arbitrary<ClcAcceptConfirmR>;

const answerD = answer(
  'smcd',
  fc.record({
    gid: uint64,
    gidExt: uint64,
    token: uint64,
    dmbeIndex: uint(8),
    dmbeSizeCode: uint(4),
    linkId: uint(32),
    chid: uint(16),
  }),
  { gidExt: 0n, chid: 0 },
) as fc.Arbitrary<ClcAcceptConfirmD>;

const declineMessage: fc.Arbitrary<ClcDecline> = fc
  .tuple(
    fc.record({ version, path, peerId: bytes(8), diagnosis: uint(32), outOfSync: fc.boolean(), os: uint(4) }),
    maybe('furtherDiagnoses', fc.array(fc.integer({ min: 1, max: 0xffffffff }), { minLength: 4, maxLength: 4 })),
  )
  .map(([base, further]) => ({ type: 'decline' as const, ...base, ...(base.version === 1 ? { os: 0 } : further) }));

/** Arbitrary messages by kind. All have exactly one form on the wire. */
export const MESSAGES = {
  Proposal: proposal,
  'SMC-R Accept or Confirm': answerR,
  'SMC-D Accept or Confirm': answerD,
  Decline: declineMessage,
};

export const message: fc.Arbitrary<ClcMessage> = fc.oneof(proposal, answerR, answerD, declineMessage);
