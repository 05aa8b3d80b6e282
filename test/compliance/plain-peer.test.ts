// plain-peer.test.ts - the compliance suite with node:net at one end and this library, free to choose, at the other.

import { compliance } from './compliance.js';
import { KERNEL, ours, plain } from './ours.js';

compliance({ name: 'ours to plain', client: ours('tcp', {}), server: plain, capacity: KERNEL });
compliance({ name: 'plain to ours', client: plain, server: ours('tcp', {}), capacity: KERNEL });
