// index.ts - LLC: the messages two peers exchange on their links.

export { RKEYS_PER_CONTINUE } from './add-link-continue.js';
export { decodeLlc, encodeLlc } from './codec.js';
export { LINKS_PER_CONFIRM_RKEY } from './confirm-rkey.js';
export { LLC_LENGTH, LLC_MAX_LENGTH, LLC_TYPE } from './header.js';
export * from './messages.js';
export { decodePeerQuestion, encodePeerQuestion, KNOWN, type PeerQuestion } from './peer-question.js';
