// index.ts - a link group over RDMA verbs.

export { type Clock, loopClock } from './clock.js';
export { GroupDriver, type GroupDriverOptions } from './group-driver.js';
export type { LinkPath } from './link-paths.js';
export type { GroupEvents } from './owner.js';
export type { SharedMemory } from './shared-memory.js';
