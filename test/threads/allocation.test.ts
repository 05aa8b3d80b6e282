// allocation.test.ts - what moves frames and records allocates nothing for each: measured over a million of them.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { probe } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import { NODES } from '../memory-order/children.js';

const script = fileURLToPath(new URL('../dist/threads/allocation.js', import.meta.url));
/** The smallest object there is takes 16 bytes: what is less is not for each message. */
const OBJECT_BYTES = 16;
const YOUNG = ['--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'];

interface Grown {
  readonly grown: number;
  readonly sender?: number;
}

async function measured(node: string, way: string, kind: string): Promise<Grown> {
  const { stdout } = await promisify(execFile)(node, [...YOUNG, script, way, kind]);
  return JSON.parse(stdout) as Grown;
}

describe('nothing is allocated for each of a million', () => {
  for (const [index, { name, path, missing }] of NODES.entries()) {
    for (const kind of ['asynchronous', 'blocking']) {
      // Of other versions what is most likely to differ.
      for (const way of index === 0 ? ['frames', 'records', 'in place'] : ['frames']) {
        const what = way === 'in place' ? 'messages in place, but the two views' : way;
        it(`${what}: ${kind} ends, ${name}`, async (context) => {
          if (missing !== undefined) return context.skip(missing);
          expect((await measured(path, way, kind)).grown).toBeLessThan(OBJECT_BYTES / 2);
        });
      }
    }

    it(`frames over SMC-D, at neither end, ${name}`, async (context) => {
      if (missing !== undefined) return context.skip(missing);
      if (!probe().usable.includes('smcd')) return context.skip('SMC-D cannot be used here');
      const { grown, sender } = await measured(path, 'smcd', '');
      expect(grown).toBeLessThan(OBJECT_BYTES / 2);
      expect(sender).toBeLessThan(OBJECT_BYTES / 2);
    });
  }
});
