// partner.ts - the other process: opens its end of a named segment and does what it is told.

import { createRequire } from 'node:module';
import { batches, frames, sendAll } from '@smcjs/core/channel';
import { attachNamed, createNamed, type NamedEnd, segmentKey } from '@smcjs/core/named';
import { payload } from '../support/random.js';
import { recordOf } from '../threads/partner.js';

export interface NamedOrder {
  readonly name: string;
  readonly role: keyof typeof roles;
  readonly opens: 'create' | 'attach';
}

/** What a forger is asked for: a segment with these words, by index, changed; or one that is changed while it is used. */
export interface Forgery {
  readonly name: string;
  readonly words: readonly (readonly [index: number, value: number])[];
}

const say = (message: unknown): void => void process.send?.(message);

const roles = {
  echo(end: NamedEnd): void {
    end.pipe(end);
  },

  async records(end: NamedEnd): Promise<void> {
    for await (const batch of batches(end)) await sendAll(end, batch);
    end.end();
  },

  async frames(end: NamedEnd): Promise<void> {
    const floats = frames(end, Float32Array);
    for await (const { view } of floats) {
      if (!(await floats.writable(view.length))) return;
      using answer = floats.reserve(view.length);
      for (const [i, value] of view.entries()) if (answer !== undefined) answer.view[i] = value + 1;
      answer?.commit();
    }
    end.end();
  },

  /** Sends records for ever. */
  async sender(end: NamedEnd): Promise<void> {
    end.on('error', () => {});
    for (let index = 0; ; index += 10) {
      await sendAll(
        end,
        Array.from({ length: 10 }, (_, i) => recordOf(1, index + i)),
      );
    }
  },

  /** Writes 1000 bytes and stays, reading nothing. */
  holds(end: NamedEnd): void {
    end.on('error', () => {});
    end.write(payload(1, 1000));
  },

  /** Writes 1000 bytes and leaves by process.exit(), with its end open. */
  async exits(end: NamedEnd): Promise<void> {
    end.resume();
    // The memory of a creator whom nobody has come to goes with it.
    if (end.peerPid === undefined) await new Promise((resolve) => end.once('attach', resolve));
    end.write(payload(1, 1000), () => setTimeout(() => process.exit(0), 50));
    const view = end.ring.reserve(64);
    process.on('exit', () => {
      // Too late, and harmless.
      if (view !== undefined) view[0] = 1;
      end.write('late');
      end.ring.write(Buffer.from('late'));
    });
  },

  /** Closes and leaves at once, with a view that it goes on writing to. */
  leaves(end: NamedEnd): void {
    const view = end.ring.reserve(64);
    process.on('exit', () => {
      if (view !== undefined) view[0] = 1;
    });
    end.destroy();
    process.exit(0);
  },

  /** Has nothing else to do. */
  unrefs(end: NamedEnd): void {
    end.unref();
  },

  /** Says when it has seen the end. */
  ends(end: NamedEnd): void {
    end.on('end', () => say('ended')).resume();
  },

  /** Overwrites words of the segment, as often as it is asked to. */
  tampers(end: NamedEnd): void {
    end.on('error', () => {}).resume();
    process.on('message', ({ name, words }: Forgery) => {
      change(name, words);
      say('changed');
    });
  },
} as const;

/** Maps the segment a second time, which nobody but this test may do, and changes words. */
function change(name: string, words: Forgery['words']): void {
  mapped ??= (createRequire(import.meta.url)('shm-typed-array') as { get(key: number, type: string): Int32Array }).get(
    segmentKey(name),
    'Int32Array',
  );
  for (const [index, value] of words) Atomics.store(mapped, index, value);
}
let mapped: Int32Array | undefined;

/** Makes segments that are not what they seem, one after the other. */
function forge({ name, words }: Forgery): void {
  mapped = undefined;
  const end = createNamed(name);
  // What is changed may also break the forger's own end.
  end.on('error', () => {});
  change(name, words);
  say('forged');
  const leave = (): void => {
    // The second mapping is there as long as this process.
    (createRequire(import.meta.url)('shm-typed-array') as { destroy(key: number): boolean }).destroy(segmentKey(name));
    say('gone');
    process.once('message', (next: Forgery) => forge(next));
  };
  process.once('message', () => {
    if (end.closed) return leave();
    end.on('close', () => setImmediate(leave));
    end.destroy();
  });
}

async function obey({ name, role, opens }: NamedOrder): Promise<void> {
  try {
    const end =
      opens === 'create' ? createNamed(name, { allowHalfOpen: role !== 'ends' }) : await attachNamed(name, { allowHalfOpen: true });
    say('open');
    await roles[role](end);
  } catch (error) {
    say({ code: (error as NodeJS.ErrnoException).code });
  }
}

const [order] = process.argv.slice(2);
if (order === 'forge') process.once('message', (first: Forgery) => forge(first));
else if (order !== undefined) void obey(JSON.parse(order) as NamedOrder);
