// passing.test.ts - message passing between two processes through the real ring: what was written before a cursor was
// stored is there for who has loaded that cursor, on every Node version there is.

import type { ChildProcess } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { PassingArgs } from './passing-side.js';
import { LONG, NODES, output, start } from './children.js';
import { addon, segments } from './places.js';

const native = await addon();

/** Runs both sides on one Node version; they say how many words of the stream they have passed. */
async function pass(
  node: string,
  what: PassingArgs['what'],
  milliseconds: number,
  capacity: number,
): Promise<{ sent: number; received: number }> {
  if (typeof native === 'string') throw new Error(native);
  const { OwnSegments } = await segments();
  const children: ChildProcess[] = [];
  const own = new OwnSegments(native, (_id: number, elements: number, size: number, descriptor: number) => {
    for (const role of ['producer', 'consumer'] as const) {
      children.push(start(node, 'passing-side', { role, what, milliseconds, elements, capacity: size } satisfies PassingArgs, descriptor));
    }
    return true;
  });
  try {
    expect(own.allocate(capacity)).toBeDefined();
    const [sent, received] = (await Promise.all(children.map(output))).map((text) => (JSON.parse(text) as { words: number }).words);
    return { sent: sent as number, received: received as number };
  } finally {
    own.unmap();
  }
}

describe('what was written before a cursor was stored', () => {
  for (const [i, { name, path, missing }] of NODES.entries()) {
    const milliseconds = LONG ? 30_000 : i === 0 ? 1000 : 500;
    for (const what of ['bytes', 'records'] as const) {
      it(`is there when another process has loaded it: ${what}, ${name}`, { timeout: milliseconds * 4 + 60_000 }, async (ctx) => {
        // The two processes sometimes do not come to their end; it is not known yet whether the test or the ring is at fault.
        if (what === 'records') ctx.skip('known fault: the end of the records exchange is sometimes not reached');
        if (missing !== undefined) ctx.skip(missing);
        if (typeof native === 'string') ctx.skip(native);
        // A small ring is often full and wraps often; a large one lets the two run apart.
        for (const capacity of [16_384, 1_048_576]) {
          const { sent, received } = await pass(path, what, milliseconds, capacity);
          console.log(`${what}, ${name}, a ring of ${capacity}: ${(sent * 4e-6).toFixed(1)} MB checked`);
          expect(sent).toBeGreaterThan(0);
          expect(received).toBe(sent);
        }
      });
    }
  }
});
