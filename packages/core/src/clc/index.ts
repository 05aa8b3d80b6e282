// index.ts - CLC: the messages two ends exchange on the TCP connection before it moves onto a ring.

export { decode, encode } from './codec.js';
export { CLC_MAX_LENGTH, startsLikeClc } from './header.js';
export { EMULATED_CHID_MIN, type IsmDevice, ismDevices, ismGidEntries } from './ism-gid.js';
export { acceptConfirmOf, type DmbParts, isProposalOf, matches, proposalOf } from './ism-peer.js';
export * from './messages.js';
export { ClcReader } from './reader.js';
