// @smcjs/smcr/verbs - RDMA from Node: libibverbs with promises for what blocks and records in typed arrays for what is fast.
// See docs/rdma-from-node.md.

export * from '../verbs-provider.js';
export { type GuardCounters, guardCounters, ibverbs } from './ibverbs.js';
