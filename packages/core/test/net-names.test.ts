// net-names.test.ts - a program that imports node:net finds every documented name here, too.

import net from 'node:net';
import { expect, it } from 'vitest';
import * as smc from '../src/index.js';

const OURS = ['Server', 'Socket', 'connect', 'createConnection', 'createServer'];
/** An alias that is not documented, and a class that only newer versions have: it is to be had of node:net. */
const LEFT_OUT = ['Stream', 'BoundSocket'];

it('has what node:net has: what is not ours is the same', () => {
  const names = Object.keys(net).filter((name) => !name.startsWith('_') && !LEFT_OUT.includes(name));
  expect(names.filter((name) => !(name in smc))).toEqual([]);
  for (const name of names) {
    const [own, theirs] = [(smc as Record<string, unknown>)[name], (net as unknown as Record<string, unknown>)[name]];
    if (OURS.includes(name)) expect(typeof own, name).toBe(typeof theirs);
    else expect(own, name).toBe(theirs);
  }
});
