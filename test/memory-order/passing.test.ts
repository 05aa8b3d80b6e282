// passing.test.ts - message passing between two processes through the real ring: what was written before a cursor was
// stored is there for who has loaded that cursor, on every Node version there is.

import { closeSync, openSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
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
  let segment = -1;
  let elements = 0;
  const own = new OwnSegments(native, (_id: number, count: number, _capacity: number, descriptor: number) => {
    elements = count;
    segment = openSync(`/proc/self/fd/${descriptor}`, 'r+');
    return true;
  });
  onTestFinished(() => own.unmap());
  // Cleared before anybody else has it.
  expect(own.allocate(capacity)).toBeDefined();
  const sides = (['producer', 'consumer'] as const).map((role) =>
    output(start(node, 'passing-side', { role, what, milliseconds, elements, capacity } satisfies PassingArgs, segment)),
  );
  closeSync(segment);
  const [sent, received] = (await Promise.all(sides)).map((text) => (JSON.parse(text) as { words: number }).words);
  return { sent: sent as number, received: received as number };
}

describe('what was written before a cursor was stored', () => {
  for (const [i, { name, path, missing }] of NODES.entries()) {
    const milliseconds = LONG ? 30_000 : i === 0 ? 1000 : 500;
    for (const what of ['bytes', 'records'] as const) {
      it(`is there when another process has loaded it: ${what}, ${name}`, { timeout: milliseconds * 4 + 60_000 }, async (ctx) => {
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
