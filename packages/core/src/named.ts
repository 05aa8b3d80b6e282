// named.ts - the subpath @smcjs/core/named: a connection between two processes that share nothing but a name, over a segment of
// System V shared memory. Needs the package shm-typed-array, which is loaded when the first segment is opened.

export { SmcError, type SmcErrorCode } from './errors.js';
export { RingSurface } from './socket/ring-surface.js';
export {
  type AttachNamedOptions,
  attachNamed,
  type CreateNamedOptions,
  createNamed,
  NamedEnd,
  type NamedEndOptions,
} from './named/named-end.js';
export type { NamedRole } from './named/named-segment.js';
export { segmentKey } from './named/segment-layout.js';
export type { RingEndOptions } from './worker/ring-end.js';
