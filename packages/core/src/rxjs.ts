// rxjs.ts - the subpath @smcjs/core/rxjs: records and frames of a connection as Observables, and into one. Needs rxjs 7.

export { SmcError, type SmcErrorCode } from './errors.js';
export type { TypedArray, TypedArrayConstructor } from './frames/frame-format.js';
export type { ReadableFrame } from './frames/frame-reader.js';
export type { FrameConnection, FrameOptions } from './frames/typed-frames.js';
export type { RingConnection } from './messages/send-all.js';
export { fromBatches, fromFrames, fromRecords } from './rxjs/receive.js';
export { sendFramesTo, sendTo } from './rxjs/send.js';
export type { Sender, SendOptions } from './rxjs/sending.js';
