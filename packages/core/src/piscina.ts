// piscina.ts - the subpath @smcjs/core/worker: rings to and from the tasks of a worker pool (Piscina 5). As channel.ts it
// loads no transports, no addon, and not Piscina itself: the pool is the user's.

export { SmcError, type SmcErrorCode } from './errors.js';
export type { TypedArray, TypedArrayConstructor } from './frames/frame-format.js';
export {
  type MapFramesOptions,
  type MappedFrame,
  mapFrames,
  mapFramesSettled,
  type SettledFrame,
} from './piscina/map-frames.js';
export type { FrameFill, SourceFrame } from './piscina/lane.js';
export type { FrameSource } from './piscina/map-run.js';
export { type FrameHandler, type FrameReply, type FrameTypes, serveFrames } from './piscina/serve-frames.js';
export { type ChannelHandler, serveChannel } from './piscina/serve-channel.js';
export { type StreamTask, type StreamTaskOptions, streamTask, type TaskPool, type TaskRunOptions } from './piscina/stream-task.js';
export { ChannelEnd, type ChannelEndOptions } from './worker/channel-end.js';
