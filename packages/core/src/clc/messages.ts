// messages.ts - the CLC messages as plain data: what travels over the TCP connection before the ring is used
// (RFC 7609 section 3.1 and appendix A; SMCv2.1 as the Linux kernel speaks it). No I/O, no bytes: see the codecs beside it.
//
// Conventions: 64-bit GIDs, tokens and addresses are bigint; everything up to 32 bits is number; byte strings are
// Uint8Array of exactly the stated length. Text fields (EID, hostname) are one character per byte without the blanks
// they are padded with; '' stands for a field of zeros. Text comes from the peer: escape it before showing it.

/** The flavour a message speaks: its eyecatcher, "SMCR" or "SMCD" in EBCDIC. */
export type ClcPath = 'smcr' | 'smcd';
export type ClcVersion = 1 | 2;

/** What a Proposal offers in one version of the protocol. */
export type ClcOffer = 'smcr' | 'smcd' | 'none' | 'both';

/** An IP prefix of the client: 4 bytes and 0..32 bits, or 16 bytes and 0..128 bits. */
export interface ClcPrefix {
  readonly prefix: Uint8Array;
  readonly length: number;
}

/** One entry for an ISM device. An emulated device (CHID >= 0xff00) takes two entries in a row: see ism-gid.ts. */
export interface ClcIsmGid {
  readonly gid: bigint;
  readonly chid: number;
}

/** The SMC-Dv2 extension of a Proposal. */
export interface ClcSmcdExtension {
  /** System EID, up to 32 characters; '' when there is none. */
  readonly seid: string;
  /** At most 8. */
  readonly gids: readonly ClcIsmGid[];
}

/** The v2 extension of a Proposal. */
export interface ClcProposalExtension {
  /** User EIDs, up to 32 characters each, at most 8. The first one the server knows too is chosen. */
  readonly ueids: readonly string[];
  /** 0 is v2.0, 1 is v2.1. A later release may be offered; the server answers with the one it speaks. */
  readonly release: number;
  /** The client has a system EID (SMC-D). */
  readonly seidPresent: boolean;
  /** 16 bytes; zeros when SMC-R is not offered. */
  readonly roceV2Gid: Uint8Array;
  /** Wanted limits of the link group; 0 where there is none (v2.0, SMC-D). */
  readonly maxConns: number;
  readonly maxLinks: number;
  /** Feature mask; bit 0 is emulated ISM. */
  readonly features: number;
  /** Present exactly if SMC-Dv2 is offered. */
  readonly smcd?: ClcSmcdExtension;
}

/** The client's offer. */
export interface ClcProposal {
  readonly type: 'proposal';
  readonly path: ClcPath;
  readonly version: ClcVersion;
  /** Offered in version 1. Not 'none' in a version 1 message. */
  readonly v1: ClcOffer;
  /** Offered in version 2. 'none' in a version 1 message. */
  readonly v2: ClcOffer;
  /** 8 bytes: 2 of the instance, then a MAC. Linux sends zeros when v1 is 'none'. */
  readonly peerId: Uint8Array;
  /** 16 bytes, zeros if v1 offers no SMC-R. */
  readonly roceV1Gid: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** IP area, only if v1 is not 'none'. Absent stands for 0.0.0.0/0. */
  readonly ipv4Prefix?: ClcPrefix;
  /** IP area, only if v1 is not 'none'. At most 8. */
  readonly ipv6Prefixes: readonly ClcPrefix[];
  /** ISM device of SMC-Dv1; zeros where SMC-Dv1 is not offered. */
  readonly smcdV1: ClcIsmGid;
  /** 3 and 5 bytes; absent stands for zeros. */
  readonly vendorOui?: Uint8Array;
  readonly vendorOptions?: Uint8Array;
  /** Present exactly if v2 is not 'none'. */
  readonly extension?: ClcProposalExtension;
}

/** What a version 2 Accept or Confirm adds on the first contact of two peers. */
export interface ClcFirstContact {
  /** SMC-R: the two peers share a subnet, no gateway. */
  readonly direct: boolean;
  readonly os: number;
  readonly release: number;
  /** Up to 32 characters. */
  readonly hostname: string;
  /** Negotiated limits and features of v2.1. In a v2.0 SMC-D message they do not exist and are 0. */
  readonly maxConns: number;
  readonly maxLinks: number;
  readonly features: number;
  /** 4 bytes; absent stands for zeros. */
  readonly vendorOptions?: Uint8Array;
  /** SMC-R Confirm: GIDs (16 bytes each, at most 255) the client can use for links, the link's first. Else empty. */
  readonly gids: readonly Uint8Array[];
}

interface AcceptConfirmBase {
  readonly type: 'accept' | 'confirm';
  readonly version: ClcVersion;
  /** The connection makes a new link group. */
  readonly firstContact: boolean;
  /** The chosen EID, up to 32 characters; '' in version 1 and when none was negotiated. */
  readonly eid: string;
  /** Present exactly if version is 2 and firstContact is true. */
  readonly firstContactExtension?: ClcFirstContact;
}

/** Accept or Confirm of SMC-R: how to reach the sender's RMB. */
export interface ClcAcceptConfirmR extends AcceptConfirmBase {
  readonly path: 'smcr';
  /** 8 bytes. */
  readonly peerId: Uint8Array;
  /** 16 bytes: the GID of the sender's link. */
  readonly gid: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** 24 bits. */
  readonly qpNumber: number;
  readonly rkey: number;
  /** From 1. */
  readonly rmbeIndex: number;
  /** Of the sender's end of the connection; not 0. */
  readonly alertToken: number;
  /** RMBE size is 16 KiB << this, 0..15. */
  readonly rmbeSizeCode: number;
  /** 1..5 for 256, 512, 1024, 2048, 4096 bytes. */
  readonly qpMtu: number;
  /** The address to use in RDMA WRITE. */
  readonly rmbAddress: bigint;
  /** Initial packet sequence number of the sender, 24 bits. */
  readonly psn: number;
}

/** Accept or Confirm of SMC-D: which DMB the sender receives in. */
export interface ClcAcceptConfirmD extends AcceptConfirmBase {
  readonly path: 'smcd';
  /** GID of the sender, its first 64 bits if the device is emulated. */
  readonly gid: bigint;
  /** The last 64 bits of an emulated device's GID; 0 otherwise and in version 1. */
  readonly gidExt: bigint;
  /** Token of the DMB. */
  readonly token: bigint;
  /** Linux: always 0. */
  readonly dmbeIndex: number;
  /** DMBE size is 16 KiB << this, 0..15. */
  readonly dmbeSizeCode: number;
  /** Id of the sender's link group, 32 bits. */
  readonly linkId: number;
  /** Channel id of the device; 0 in version 1. */
  readonly chid: number;
}

export type ClcAcceptConfirm = ClcAcceptConfirmR | ClcAcceptConfirmD;

/** Refuses SMC for this connection, in place of any other message. TCP goes on. */
export interface ClcDecline {
  readonly type: 'decline';
  readonly path: ClcPath;
  readonly version: ClcVersion;
  /** 8 bytes. */
  readonly peerId: Uint8Array;
  /** Peer diagnosis, see REASONS in transport/decline.ts. */
  readonly diagnosis: number;
  /** The link group is out of sync: the receiver ends it with all its connections. */
  readonly outOfSync: boolean;
  /** What the sender runs on, see {@link CLC_OS}; 0 in version 1. */
  readonly os: number;
  /** Version 2: four more diagnosis words. Absent stands for zeros. */
  readonly furtherDiagnoses?: readonly number[];
}

export type ClcMessage = ClcProposal | ClcAcceptConfirm | ClcDecline;

/** Operating systems a peer names. */
export const CLC_OS = { none: 0, zos: 1, linux: 2, aix: 3 } as const;

/** Ring sizes are told as a code n: 16 KiB << n. */
export const CLC_SIZE_UNIT = 16 * 1024;
