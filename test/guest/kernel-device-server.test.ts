// kernel-device-server.test.ts - the kernel loses a device, we as server: see kernel-links.ts.

import { kernelDeviceTests } from './kernel-links.js';

kernelDeviceTests('server');
