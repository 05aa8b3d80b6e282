// kernel-links-client.test.ts - two links with the kernel, we as client: see kernel-links.ts.

import { kernelLinkTests } from './kernel-links.js';

kernelLinkTests('client');
