// compliance.test.ts - the compliance suite over SMC-R on a real (software) device, with both ends in one process.

import { compliance } from '../compliance/compliance.js';
import { only } from '../compliance/ours.js';

compliance(only('smcr', { discovery: 'inline' }));
