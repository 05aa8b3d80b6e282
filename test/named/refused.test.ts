// refused.test.ts - segments that are not what they should be: another program's, damaged, of another version, hostile. And
// where named segments cannot be used at all.

import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { attachNamed, createNamed, segmentKey } from '@smcjs/core/named';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { event, until } from '../support/events.js';
import { codeOf } from '../threads/pair.js';
import type { Forgery } from './partner.js';
import { freshName, kept, killed, mappings, options, ownMappings, partnerWith, shmPackage, started, withPartner } from './processes.js';

/** Indices of the words of docs/named-segments.md. */
const SIZE_WORDS = (4096 + 2 * 262_144 + 1756) / 4;
const WORD = { magic: 0, version: 1, ready: 2, capacity: 3, digest: 4, namespace: 8, creator: 16, claimed: 32, attacher: 33, attached: 36 };
const RING = 128;

describe('what is under a name', options as object, () => {
  it('is left alone when it is of another program, or open to other users', async () => {
    for (const [words, permissions] of [
      [1024, '600'],
      [SIZE_WORDS + 1, '600'],
      [SIZE_WORDS, '660'],
    ] as const) {
      const name = freshName();
      const theirs = shmPackage().create(words, 'Int32Array', segmentKey(name), permissions);
      onTestFinished(() => void shmPackage().destroy(segmentKey(name)));
      theirs?.fill(7);
      expect(await codeOf(() => createNamed(name))).toBe('ERR_SMC_SEGMENT_INVALID');
      expect(await codeOf(() => attachNamed(name))).toBe('ERR_SMC_SEGMENT_INVALID');
      expect(mappings(name)).toBe(1);
      expect(theirs?.every((word) => word === 7)).toBe(true);
    }
  });

  it('is refused when any constant of it is wrong, and works when it is right', { timeout: 180_000 }, async () => {
    const forger = started(['forge']);
    const attempt = async (words: Forgery['words'], wait = 5000): Promise<string> => {
      const name = freshName();
      const forged = event(forger, 'message');
      forger.send({ name, words } satisfies Forgery);
      expect((await forged)[0]).toBe('forged');
      let outcome: string;
      try {
        const end = await attachNamed(name, { wait });
        const closed = event(end, 'close');
        end.destroy();
        await closed;
        outcome = 'attached';
      } catch (error) {
        outcome = String((error as NodeJS.ErrnoException).code);
        // What was refused once is not mapped again.
        if (outcome !== 'ERR_SMC_NAME_NOT_FOUND') expect(await codeOf(() => attachNamed(name, { wait: 0 }))).toBe(outcome);
      }
      const gone = event(forger, 'message');
      forger.send('next');
      expect((await gone)[0]).toBe('gone');
      return outcome;
    };
    const before = ownMappings();
    expect(await attempt([])).toBe('attached');
    const invalid = [
      [WORD.magic, 1],
      [WORD.version, 2],
      [WORD.version, 0],
      [WORD.capacity, 131_072],
      [WORD.capacity, -1],
      [WORD.digest + 3, 99],
      [WORD.namespace, 1],
      [WORD.creator, 0],
      [WORD.creator, -1],
      [RING, 0],
      [RING + 2, 1 << 30],
      [2 * RING + 1, 7],
    ] as const;
    for (const change of invalid) expect([change, await attempt([change])]).toEqual([change, 'ERR_SMC_SEGMENT_INVALID']);
    expect(await attempt([[WORD.claimed, 1]])).toBe('ERR_SMC_NAME_IN_USE');
    expect(await attempt([[WORD.ready, 0]], 50)).toBe('ERR_SMC_NAME_NOT_FOUND');
    // A creator that is no process, or another one with the same id, has left it behind.
    expect(await attempt([[WORD.creator, 0x3fff_fff0]], 50)).toBe('ERR_SMC_NAME_NOT_FOUND');
    expect(await attempt([[WORD.creator + 1, 1]], 50)).toBe('ERR_SMC_NAME_NOT_FOUND');
    const word = fc.tuple(fc.oneof(fc.nat(40), fc.integer({ min: RING, max: 3 * RING - 1 })), fc.integer());
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 4 }), async (words) => {
        expect(['attached', 'ERR_SMC_SEGMENT_INVALID', 'ERR_SMC_NAME_IN_USE', 'ERR_SMC_NAME_NOT_FOUND']).toContain(
          await attempt(words, 20),
        );
      }),
      { numRuns: 40 },
    );
    expect(ownMappings()).toBe(before);
  });

  it('may be overwritten by its peer at any time: the connection ends with a code, the process goes on', { timeout: 180_000 }, async () => {
    const word = fc.tuple(fc.integer({ min: 0, max: 3 * RING - 1 }), fc.integer());
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 20 }), fc.boolean(), async (words, records) => {
        // A peer that looks as if it had ended leaves the other half to us.
        const { name, end, child } = await withPartner('tampers', 'creator', { allowHalfOpen: false });
        // Who erases that it has come, before that is seen, has not come.
        await until(() => end.peerPid !== undefined);
        const codes: (string | undefined)[] = [];
        end.on('error', (error: NodeJS.ErrnoException) => codes.push(error.code));
        if (records) end.ring.onreadable = () => void end.ring.receive(() => {});
        else end.resume();
        end.write('before');
        child.send({ name, words } satisfies Forgery);
        await event(child, 'message');
        if (!end.destroyed) end.write(Buffer.alloc(30_000));
        await killed(child);
        await until(() => end.closed);
        for (const code of codes) {
          expect(['ERR_SMC_PEER_VIOLATION', 'ERR_SMC_SEGMENT_INVALID', 'ECONNRESET', 'EPIPE', 'ECANCELED']).toContain(code);
        }
        // Who is killed after the other end has gone leaves the segment to the next that uses its name.
        await until(() => !mappings(name));
        const next = kept(createNamed(name));
        next.destroy();
        await until(() => mappings(name) === undefined);
      }),
      // Each run takes a second: what fails is reported as it is.
      { numRuns: 15, endOnFailure: true },
    );
  });

  it('says so when it was removed before anybody came', async () => {
    const name = freshName();
    const end = kept(createNamed(name));
    const failed = event(end, 'error');
    const remover = spawn('ipcrm', ['-M', `0x${segmentKey(name).toString(16)}`]);
    await event(remover, 'exit');
    expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe('ERR_SMC_SEGMENT_INVALID');
  });

  it('is found by its name only: an attacher that gives up leaves nothing mapped', async () => {
    const name = freshName();
    const child = await partnerWith(name, 'create', 'holds');
    expect(await codeOf(() => attachNamed(`${name}, not`, { wait: 0 }))).toBe('ERR_SMC_NAME_NOT_FOUND');
    expect(mappings(name)).toBe(1);
    await killed(child);
  });
});

describe('where named segments cannot be used', () => {
  const program = (code: string): string => `import { attachNamed, createNamed } from '@smcjs/core/named';\n${code}`;
  const report = `const say = (error) => console.log(error.code, error.message);
    try { createNamed('nowhere'); } catch (error) { say(error); }
    await attachNamed('nowhere').catch(say);`;

  it('without the package both calls say what to install, and everything else works', async () => {
    const hide = `const { Module } = require('node:module');
      const resolve = Module._resolveFilename;
      Module._resolveFilename = function (request, ...rest) {
        if (request !== 'shm-typed-array') return resolve.call(this, request, ...rest);
        throw Object.assign(new Error("Cannot find module 'shm-typed-array'"), { code: 'MODULE_NOT_FOUND' });
      };`;
    const preload = `data:text/javascript,${encodeURIComponent(`import { createRequire } from 'node:module'; const require = createRequire('${import.meta.url}'); ${hide}`)}`;
    const child = spawn(process.execPath, ['--import', preload, '--input-type=module', '-e', program(report)], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    expect((await event(child, 'close'))[0]).toBe(0);
    expect(
      text.match(/^ERR_SMC_NAMED_UNAVAILABLE the package shm-typed-array is not installed: npm install shm-typed-array/gm),
    ).toHaveLength(2);
  });

  it('in a worker both calls say so', async () => {
    const source = `import('${import.meta.resolve('@smcjs/core/named')}').then(async ({ attachNamed, createNamed }) => {
      const codes = [];
      try { createNamed('x'); } catch (error) { codes.push(error.code); }
      await attachNamed('x').catch((error) => codes.push(error.code));
      require('node:worker_threads').parentPort.postMessage(codes);
    });`;
    const worker = new Worker(source, { eval: true });
    expect((await event(worker, 'message'))[0]).toEqual(['ERR_SMC_NAMED_UNAVAILABLE', 'ERR_SMC_NAMED_UNAVAILABLE']);
    await worker.terminate();
  });
});
