// agent.ts - one process of a pair. It does what its control connection says and ends when that closes.

import net from 'node:net';
import { connectCommands } from '../cases/connect.js';
import { manyCommands } from '../cases/many.js';
import { httpCommands } from '../cases/http.js';
import { idleCommands } from '../cases/idle.js';
import { politeCommands } from '../cases/polite.js';
import { answer, CONTROL_FD } from './control.js';
import { connectionCommands } from './connections.js';

const control = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true });
control.on('close', () => process.exit(0));
control.on('error', () => process.exit(0));

const report = answer(control, {
  ...connectionCommands,
  ...connectCommands,
  ...httpCommands,
  ...manyCommands,
  ...idleCommands,
  ...politeCommands,
});

// A wrong byte is found in an event handler: whatever nobody catches is told to the benchmark, which ends this process.
process.on('uncaughtException', report);
process.on('unhandledRejection', report);
