// index.ts - link groups: links, RMBs, LLC exchanges, failover.

export { apart, throwApart } from './apart.js';
export { ASK_AGAIN, MOST_QUESTIONS } from './doubts.js';
export { FIRST_CONTACT_FAILURE } from './first-contact.js';
export { GroupRegistry, makePeerId } from './group-registry.js';
export { Link, type LinkEnd, TEST_LINK_TIME } from './link.js';
export { type GroupState, IDLE_TIME, LinkGroup, type LinkGroupOptions } from './link-group.js';
export type { SpareEnd } from './link-restorer.js';
export { LLC_WAIT } from './llc-flows.js';
export type { LinkGroupPort, Member } from './port.js';
export { refuse } from './refuse.js';
export { type Element, type Rkey, Rmb } from './rmbs.js';
export type { Rtoken } from './rtokens.js';
export { suspect } from './test-link.js';
