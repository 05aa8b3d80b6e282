// backend.ts - the subpath @smcjs/core/backend: what a package that implements a transport needs, and no application does.

export * from './clc/index.js';
export { SmcError, type SmcErrorCode } from './errors.js';
export { usableCores } from './cores.js';
export type { BusyPoll, ResolvedOptions } from './options.js';
export { RING_SIZE_MAX, RING_SIZE_MIN } from './options.js';
export { RingConsumer } from './ring/consumer.js';
export * from './ring/layout.js';
export { RingProducer } from './ring/producer.js';
export * as words from './ring/words.js';
export { beforeListen, descriptorOf, listeningDescriptor } from './tcp/handle.js';
export * from './transport/backend.js';
export type { Channel, ChannelCounters, ChannelSink } from './transport/channel.js';
export { DECISION, type Decision, decide, decision } from './transport/decision.js';
export { type Decline, decline, REASONS, reasonOfCode } from './transport/decline.js';
export { useBackend } from './transport/found.js';
export { PollWindow } from './worker/poll-window.js';
