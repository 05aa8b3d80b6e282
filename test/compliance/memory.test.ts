// memory.test.ts - the compliance suite over memory, between two ends in one event loop.

import { compliance } from './compliance.js';
import { only } from './ours.js';

compliance(only('memory'));
