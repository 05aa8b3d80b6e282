// @smcjs/core - sockets that use shared memory or RDMA where both ends can, and TCP otherwise.

export { ERROR_CODES, SmcError, type SmcErrorCode } from './errors.js';
export { type BusyPoll, OPTIONS, type ResolvedOptions, type SmcOptions } from './options.js';
export type { PeerView } from './ring/consumer.js';
export * from './socket/index.js';
export { probe } from './transport/backends.js';
export { type Decline, type DeclineReason, type DeclineSide, REASONS, TRANSPORT_NAMES, type TransportName } from './transport/decline.js';

/** What else `node:net` has, unchanged: so that this module can stand where that stood. */
export {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  SocketAddress,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from 'node:net';
