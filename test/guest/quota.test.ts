// quota.test.ts - test/surroundings/quota.ts, in the guest, which has control groups of version 2 whatever the machine around it has.

import { quotas } from '../surroundings/quota.js';

quotas();
