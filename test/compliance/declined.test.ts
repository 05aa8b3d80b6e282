// declined.test.ts - the compliance suite over connections that could not use what one side wanted, and became TCP.

import { compliance } from './compliance.js';
import { KERNEL, ours } from './ours.js';

compliance({
  name: 'smcd declined by a server that allows TCP alone',
  client: ours('tcp', { transports: ['smcd'] }),
  server: ours('tcp', { transports: ['tcp'] }),
  capacity: KERNEL,
});
