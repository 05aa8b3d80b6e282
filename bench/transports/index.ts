// index.ts - which implementation carries a lane.

import type { Lane } from '../lanes.js';
import { atomicsTransport } from './atomics.js';
import { dgramTransport } from './dgram.js';
import { ipcTransport } from './ipc.js';
import { messagePortTransport } from './message-port.js';
import { netTransport } from './net.js';
import { netFramesTransport } from './net-frames.js';
import type { Transport } from './port.js';
import { smcTransport } from './smc.js';
import { workerTransport } from './worker.js';
import { zeromqTransport } from './zeromq.js';

export function transportOf(lane: Lane): Transport {
  if (lane.mode === 'smc-fallback' || lane.transport === 'smcd' || lane.transport === 'smcr') return smcTransport;
  if (lane.transport === 'ipc') return ipcTransport;
  if (lane.transport === 'zeromq') return zeromqTransport;
  if (lane.transport === 'worker') return workerTransport;
  if (lane.transport === 'message-port') return messagePortTransport;
  if (lane.transport === 'dgram') return dgramTransport;
  if (lane.transport === 'atomics') return atomicsTransport;
  if (lane.mode === 'frames') return netFramesTransport;
  return netTransport;
}
