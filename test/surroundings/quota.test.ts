// quota.test.ts - processors that a control group leaves to a process: quota.ts.

import { quotas } from './quota.js';

quotas();
