// messages.ts - the LLC messages as plain data: what two peers tell each other about their link group, by SEND on one of its
// links (RFC 7609 section 4.5 and appendix A.3; version 2 as Linux speaks it). No I/O, no bytes: one codec file per message.
//
// Conventions as in CLC: addresses are bigint, everything up to 32 bits is number, byte strings are Uint8Array of exactly the
// stated length. A response has the type of its request and `response` set.

/** The version of the link group, agreed in CLC. */
export type LlcVersion = 1 | 2;

interface Base {
  readonly version: LlcVersion;
  readonly response: boolean;
}

/** Proves that a new link carries messages; both ends tell their limits. */
export interface ConfirmLink extends Base {
  readonly type: 'confirm-link';
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** 16 bytes. */
  readonly gid: Uint8Array;
  /** 24 bits. */
  readonly qpNumber: number;
  /** Given by the server, repeated by the client. */
  readonly linkNumber: number;
  /** 32 bits, each side's own choice. */
  readonly linkUid: number;
  readonly maxLinks: number;
  /** Version 2; 0 in version 1. */
  readonly maxConns: number;
  /** Must be true: nobody here writes eyecatchers into RMBEs. */
  readonly noEyecatchers: boolean;
}

/** One RMB on the link the message travels on and on the one it is about. */
export interface RkeyOnNewLink {
  readonly rkey: number;
  readonly newRkey: number;
  readonly newAddress: bigint;
}

/** Asks for another link (from a client: suggests that the server asks). */
export interface AddLink extends Base {
  readonly type: 'add-link';
  readonly mac: Uint8Array;
  readonly gid: Uint8Array;
  readonly qpNumber: number;
  readonly linkNumber: number;
  /** 1..5; 0 in a suggestion. */
  readonly qpMtu: number;
  /** 24 bits. */
  readonly psn: number;
  /** Responses only: no link will be added. */
  readonly rejected: boolean;
  /** Version 1, rejected: 1 is "no alternate path". 0 in version 2. */
  readonly rejectReason: number;
  /** Version 2, and absent in a short message. */
  readonly extension?: AddLinkExtension;
}

export interface AddLinkExtension {
  /** The peers share a subnet. */
  readonly direct: boolean;
  /** 16 bytes: the client's GID the server asks for. */
  readonly targetGid: Uint8Array;
  readonly rkeys: readonly RkeyOnNewLink[];
}

/** Version 1: the rkeys of the new link, two by two, the sides taking turns. */
export interface AddLinkContinue extends Base {
  readonly type: 'add-link-continue';
  readonly linkNumber: number;
  /** Those still to be told, the ones in this message included. */
  readonly remaining: number;
  /** min(remaining, 2). */
  readonly rkeys: readonly RkeyOnNewLink[];
}

/** Ends a link or, with `all`, the link group. */
export interface DeleteLink extends Base {
  readonly type: 'delete-link';
  /** 0 with `all`. */
  readonly linkNumber: number;
  readonly all: boolean;
  readonly orderly: boolean;
  /** One of {@link DELETE_REASON}, or what the peer makes up. */
  readonly reason: number;
}

export const DELETE_REASON = {
  lostPath: 0x00010000,
  operator: 0x00020000,
  programEnded: 0x00030000,
  protocolViolation: 0x00040000,
  asymmetricNotNeeded: 0x00050000,
  /** In responses. */
  unknownLink: 0x00100000,
  unknownGroup: 0x00200000,
} as const;

/** Version 2, client: which GIDs it has for another link. */
export interface RequestAddLink extends Base {
  readonly type: 'request-add-link';
  /** 16 bytes each. */
  readonly gids: readonly Uint8Array[];
}

/** One RMB on one further link. */
export interface RkeyOnLink {
  readonly linkNumber: number;
  readonly rkey: number;
  readonly address: bigint;
}

/** A new RMB: how to write it on this link and on the others. */
export interface ConfirmRkey extends Base {
  readonly type: 'confirm-rkey';
  readonly rkey: number;
  readonly address: bigint;
  /** Further links, those that go into CONFIRM RKEY CONTINUE included. */
  readonly remaining: number;
  /** min(remaining, 2). */
  readonly others: readonly RkeyOnLink[];
  /** Responses: refused; with `retry` for want of room. */
  readonly negative: boolean;
  readonly retry: boolean;
}

/** The links that did not fit into CONFIRM RKEY. */
export interface ConfirmRkeyContinue extends Base {
  readonly type: 'confirm-rkey-continue';
  /** Those still to be told, the ones in this message included. */
  readonly remaining: number;
  /** min(remaining, 3). */
  readonly others: readonly RkeyOnLink[];
  readonly negative: boolean;
  readonly retry: boolean;
}

/** Is the link alive? The answer repeats the data, unless it is a question: see peer-question.ts. */
export interface TestLink extends Base {
  readonly type: 'test-link';
  /** 16 bytes. */
  readonly userData: Uint8Array;
}

/** RMBs the sender gives up, by their rkeys on the link the message travels on. */
export interface DeleteRkey extends Base {
  readonly type: 'delete-rkey';
  readonly rkeys: readonly number[];
  readonly negative: boolean;
  /** Responses: version 1 a mask of the unknown ones, first is the highest of 8 bits; version 2 their number. */
  readonly errors: number;
}

/** A first byte that stands for none of these: to be ignored, or the end of the link (see link-group). */
export interface UnknownLlc extends Base {
  readonly type: 'unknown';
  /** The first byte. */
  readonly code: number;
}

export type LlcMessage =
  | ConfirmLink
  | AddLink
  | AddLinkContinue
  | DeleteLink
  | RequestAddLink
  | ConfirmRkey
  | ConfirmRkeyContinue
  | TestLink
  | DeleteRkey;
