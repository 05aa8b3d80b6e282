// index.ts - which implementation carries a lane.

import type { Lane } from '../lanes.js';
import { ipcTransport } from './ipc.js';
import { netTransport } from './net.js';
import type { Transport } from './port.js';
import { smcTransport } from './smc.js';
import { zeromqTransport } from './zeromq.js';

export function transportOf(lane: Lane): Transport {
  if (lane.mode === 'smc-fallback' || lane.transport === 'smcd') return smcTransport;
  if (lane.transport === 'ipc') return ipcTransport;
  if (lane.transport === 'zeromq') return zeromqTransport;
  return netTransport;
}
