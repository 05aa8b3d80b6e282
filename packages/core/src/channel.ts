// channel.ts - the subpath @smcjs/core/channel: rings between the threads of one process, and typed frames over any ring.
// It loads no transports and no addon, so a worker that only computes starts quickly.

export { SmcError, type SmcErrorCode } from './errors.js';
export type { TypedArray, TypedArrayConstructor } from './frames/frame-format.js';
export type { ReadableFrame } from './frames/frame-reader.js';
export type { WritableFrame } from './frames/frame-writer.js';
export { BlockingFrames, type FrameConnection, type FrameOptions, frames, TypedFrames } from './frames/typed-frames.js';
export { batches } from './messages/batches.js';
export { FanIn, type RecordHandler } from './messages/fan-in.js';
export { type RingConnection, sendAll } from './messages/send-all.js';
export type { PeerView } from './ring/consumer.js';
export { RingSurface } from './socket/ring-surface.js';
export { BlockingEnd, type BlockingEndOptions, openBlocking } from './worker/blocking-end.js';
export { RingPoller } from './worker/ring-poller.js';
export { ChannelEnd, type ChannelEndOptions, open } from './worker/channel-end.js';
export { createChannel, type WorkerChannelOptions, type WorkerPort } from './worker/port.js';
