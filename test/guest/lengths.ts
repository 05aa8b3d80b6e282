// lengths.ts - how much of what takes long in an emulated machine: all of it with SMC_TEST_LONG=1 (npm run test:guest, npm run test:long),
// a part that suits every change in npm test.

const LONG = process.env.SMC_TEST_LONG === '1';

/** Connections in a row. */
export const CONNECTS = LONG ? 1000 : 200;
/** Of a large transfer. */
export const MEBIBYTES = LONG ? 64 : 16;
