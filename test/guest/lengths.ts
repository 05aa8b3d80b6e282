// lengths.ts - how much of what takes long in an emulated machine: all of it with SMC_TEST_LONG=1 (npm run test:guest, npm run test:long),
// a part that suits every change in npm test.

import { LONG } from '../memory-order/children.js';

/** Connections in a row. */
export const CONNECTS = LONG ? 1000 : 60;
/** Of a large transfer. */
export const MEBIBYTES = LONG ? 64 : 8;
/** Of each of many connections, several times its ring. */
export const KIBIBYTES_OF_MANY = LONG ? 1024 : 160;
/** For how long a loop stands still: several times what a peer waits for the answer to a TEST LINK; and at the longest. */
export const STALL_SECONDS = LONG ? 10 : 6;
export const LONG_STALL_SECONDS = LONG ? 40 : 15;
