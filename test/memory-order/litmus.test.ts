// litmus.test.ts - the order the doorbell needs, on every Node version there is: between threads of a process, where
// ECMAScript promises it, and between processes, where only V8's code does.

import { describe, expect, it } from 'vitest';
import { coordinate, LITMUS_BYTES, type LitmusResult } from './litmus.js';
import { LONG, NODES, output, start } from './children.js';
import { addon } from './places.js';

const native = await addon();

describe('a store and then a load of another word', () => {
  for (const [i, { name, path, missing }] of NODES.entries()) {
    const milliseconds = LONG ? 60_000 : i === 0 ? 2000 : 1000;
    const timeout = milliseconds * 5 + 60_000;

    it(`is seen in that order by another thread, ${name}`, { timeout }, async (ctx) => {
      if (missing !== undefined) ctx.skip(missing);
      const text = await output(start(path, 'litmus-threads', { milliseconds }));
      check(`threads, ${name}`, JSON.parse(text) as Record<'words' | 'plain', LitmusResult>);
    });

    it(`is seen in that order by another process, ${name}`, { timeout }, async (ctx) => {
      if (missing !== undefined) ctx.skip(missing);
      if (typeof native === 'string') return ctx.skip(native);
      const segment = native.createSegment(LITMUS_BYTES);
      const memory = native.mapSegment(segment, LITMUS_BYTES) as ArrayBuffer;
      const sides = [0, 1].map((me) => start(path, 'litmus-side', { me, milliseconds }, segment));
      native.closeDescriptor(segment);
      try {
        // A side that fails must not be waited for.
        const ended = Promise.all(sides.map(output));
        const result = await Promise.race([coordinate(new Int32Array(memory), milliseconds), ended]);
        if (Array.isArray(result)) throw new Error('the two sides ended by themselves');
        await ended;
        check(`processes, ${name}`, result);
      } finally {
        native.unmap(memory);
      }
    });
  }
});

function check(what: string, { words, plain }: Record<'words' | 'plain', LitmusResult>): void {
  const say = (result: LitmusResult) => `${result.rounds} rounds, ${result.meetings} meetings, ${result.violations} out of order`;
  console.log(`${what}: ${say(words)}; for comparison with plain access: ${say(plain)}`);
  expect(words.rounds).toBeGreaterThan(0);
  expect(words.violations).toBe(0);
}
