// prober.ts - prints why SMC-R cannot be used, or null, in a process of its own, since libraries are loaded once per process.

import { probe } from '@smcjs/core';

console.log(JSON.stringify(probe().declines.find(({ transport }) => transport === 'smcr') ?? null));
