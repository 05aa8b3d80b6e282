// compliance.test.ts - the compliance suite of the repository over SMC-R, on simulated devices.

import { compliance } from '../../../test/compliance/compliance.js';
import { only } from '../../../test/compliance/ours.js';
import { LocalRdma } from './simulated/sockets.js';

new LocalRdma();
compliance(only('smcr', { discovery: 'inline' }));
