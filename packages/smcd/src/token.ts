// token.ts - random 64-bit tokens, drawn from a pool: asking the generator for each one cost microseconds per connection.

import { randomFillSync } from 'node:crypto';

const pool = new BigUint64Array(256);
let used = pool.length;

/** An unguessable token. */
export function randomToken(): bigint {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool[used++] as bigint;
}
