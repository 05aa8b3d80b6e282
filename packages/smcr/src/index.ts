// @smcjs/smcr - SMC-R over RDMA verbs, for @smcjs/core.

export { smcr } from './smcr.js';
