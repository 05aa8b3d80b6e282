// prober.ts - prints why SMC-R cannot be used in a process of its own, since that is found out once per process.

import { probe } from '@smcjs/core';

console.log(JSON.stringify(probe().declines.find(({ transport }) => transport === 'smcr')));
