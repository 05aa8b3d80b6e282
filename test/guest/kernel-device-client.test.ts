// kernel-device-client.test.ts - the kernel loses a device, we as client: see kernel-links.ts.

import { kernelDeviceTests } from './kernel-links.js';

kernelDeviceTests('client');
