// worker.ts - worker channels of this library, both ends in event loops.

import type { ChannelEnd, WorkerPort } from '@smcjs/core/channel';
import { busyPollOf, type Opening, usageOf } from '../lanes.js';
import type { Port, Transport } from './port.js';
import { give, given } from './thread-link.js';

const load = () => import('@smcjs/core/channel');

/** Frames of 1 MiB need more than the default of 256 KiB; SMC-D has the same for them. */
export const FRAMES_RING = 4 << 20;

const ringSizeOf = (opening: Opening) => (usageOf(opening.lane) === 'frames' ? { ringSize: FRAMES_RING } : {});

async function opened({ lane }: Opening, port: WorkerPort): Promise<ChannelEnd & Port> {
  const { open } = await load();
  return open(port, { busyPoll: busyPollOf(lane) });
}

export const workerTransport: Transport = {
  async listen(opening, onConnection) {
    const { createChannel } = await load();
    const { port1, port2 } = createChannel(ringSizeOf(opening));
    give(port2, [port2.bell]);
    onConnection(await opened(opening, port1));
    return { address: 'thread', close: () => undefined };
  },
  connect: (opening) => opened(opening, given<WorkerPort>()),
};
