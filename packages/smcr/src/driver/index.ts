// index.ts - a link group over RDMA verbs.

export { type Clock, loopClock } from './clock.js';
export { GroupDriver, type GroupDriverOptions, type GroupEvents } from './group-driver.js';
export type { LinkPath } from './link-maker.js';
export type { SharedMemory } from './shared-memory.js';
