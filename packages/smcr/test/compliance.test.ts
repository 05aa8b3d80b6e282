// compliance.test.ts - the compliance suite of the repository over SMC-R, on simulated devices. There are two in the same subnet, so link
// groups have two links.

import { compliance } from '../../../test/compliance/compliance.js';
import { only } from '../../../test/compliance/ours.js';
import { LocalRdma } from './simulated/sockets.js';

// For the few tests that give no options.
process.env.SMC_DISCOVERY = 'inline';
new LocalRdma('127.0.0.2', '::1');
// A plain client that says nothing is waited for as long.
const noProcesses = 'simulated devices are in this process alone; test/guest has these tests over a real one';
compliance({ ...only('smcr', { discovery: 'inline', handshakeTimeout: 2000 }), noProcesses });
