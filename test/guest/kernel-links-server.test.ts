// kernel-links-server.test.ts - two links with the kernel, we as server: see kernel-links.ts.

import { kernelLinkTests } from './kernel-links.js';

kernelLinkTests('server');
