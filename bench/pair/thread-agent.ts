// thread-agent.ts - one thread of a pair. It does what its control port says until it is terminated.

import { workerData } from 'node:worker_threads';
import { answer } from './control.js';
import { connectionCommands } from './connections.js';
import { PortStream } from './port-stream.js';
import type { ThreadData } from './thread-pair.js';

const report = answer(new PortStream((workerData as ThreadData).control), connectionCommands);

process.on('uncaughtException', report);
process.on('unhandledRejection', report);
