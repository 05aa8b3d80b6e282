// smcd.test.ts - the compliance suite over smcd, with both ends in one process.

import { compliance } from './compliance.js';
import { only } from './ours.js';

compliance(only('smcd'));
