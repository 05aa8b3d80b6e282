// channel-end.ts - one end of a worker channel in an event loop.

import { atExit } from './exit.js';
import { claim, type WorkerPort } from './port.js';
import { RingEnd, type RingEndOptions } from './ring-end.js';
import { WorkerChannel } from './worker-channel.js';

export type ChannelEndOptions = RingEndOptions;

/**
 * One end of a worker channel: a Duplex of bytes with the behaviour of a connected socket, and {@link ring}, the zero-copy
 * side of the same bytes. It keeps the event loop alive until it is closed, or {@link unref} is called; one that is unref'd
 * does not poll: news always wake it. To be used by the thread that opened it. `doorbells` of {@link stats}: times the peer
 * slept and was woken.
 *
 * When the peer's thread ends in order (also by process.exit()) this end reads what is there, then 'end'. When it is
 * terminated: what was published, then an 'error' with code `ECONNRESET`; never a part of a record or frame. Other errors:
 * `ERR_SMC_PEER_VIOLATION` (the ring was overwritten), and `EPIPE` and `ECONNRESET` of writes, as in node:net.
 */
export class ChannelEnd extends RingEnd<WorkerChannel> {
  /** @throws SmcError as {@link open} */
  constructor(port: WorkerPort, options: ChannelEndOptions = {}) {
    super(options, (busyPoll) => new WorkerChannel(claim(port), busyPoll), atExit);
  }

  /** @internal */
  protected override leave(): void {
    this.channel.leave();
  }
}

/**
 * Opens a port in this thread. What the other side has sent already is there; what is sent before the other side opens its
 * port waits in the ring.
 * @throws SmcError `ERR_SMC_INVALID_PORT`, `ERR_SMC_PORT_IN_USE` (each port is one end's), `ERR_SMC_INVALID_OPTION`
 */
export function open(port: WorkerPort, options?: ChannelEndOptions): ChannelEnd {
  return new ChannelEnd(port, options);
}
