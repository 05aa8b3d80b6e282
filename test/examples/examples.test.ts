// examples.test.ts - every example runs alone, as a user would run it, with shared memory and without.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REASONS, TRANSPORT_NAMES } from '@smcjs/core';
import { describe, expect, it, type TestContext } from 'vitest';

const root = join(import.meta.dirname, '../..');
const compiled = join(root, 'packages/examples/dist');

/** Whether SMC-D can be there at all; where the addon was not built the examples must work over TCP. */
const prebuilds = join(root, 'packages/smcd/prebuilds');
const addon = existsSync(prebuilds) && readdirSync(prebuilds).length > 0;

/** Runs one and gives its output; anything but exit code 0 rejects with that and what was printed. */
function example(name: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: 120_000 };
    execFile(process.execPath, [join(compiled, name)], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${name} ended with ${error.signal ?? error.code}:\n${stdout}${stderr}`));
    });
  });
}

const ways = [
  { transport: 'smcd', env: {}, skip: !addon },
  { transport: 'tcp', env: { SMC_TRANSPORTS: 'tcp' }, skip: false },
];

/** Of the demonstration's table: each transport with 'yes', or with who refused it and why. A detail has to be there. */
function refusals(output: string): Record<string, string> {
  const rows = [...output.matchAll(/^ {2}(\w+) +(?:(yes)|no +(local|peer|path) +(\S+) +\S.*)$/gm)];
  const names = rows.map(([, name]) => name as string).filter((name) => (TRANSPORT_NAMES as readonly string[]).includes(name));
  expect(names.toSorted()).toEqual(TRANSPORT_NAMES.toSorted());
  for (const [, , yes, , reason = ''] of rows) if (yes === undefined) expect(Object.keys(REASONS)).toContain(reason);
  return Object.fromEntries(rows.map(([, name, yes, side, reason]) => [name, yes ?? `${side} ${reason}`]));
}

describe.each(ways)('examples over $transport', { timeout: 180_000 }, ({ transport, env, skip }) => {
  const run = (name: string) => example(name, env);
  const check = (title: string, body: (context: TestContext) => Promise<void>) =>
    it(title, async (context) => {
      if (skip) context.skip('the addon was not built');
      await body(context);
    });

  check('01-echo says which transport it has and gets its words back', async () => {
    const output = await run('01-echo.js');
    expect(output).toContain(`connected over ${transport}\n`);
    expect(output).toContain('echo: shared\necho: memory\necho: communications\n');
  });

  check('02-file-transfer sends the node binary undamaged', async () => {
    const hash = createHash('sha256').update(readFileSync(process.execPath)).digest('hex');
    const output = await run('02-file-transfer.js');
    expect(output).toContain(`over ${transport} in`);
    expect(output).toContain(`SHA-256 sent     ${hash}\nSHA-256 received ${hash}\n`);
  });

  check('03-http gets three answers from another process', async () => {
    const output = await run('03-http.js');
    for (const path of ['/one', '/two', '/three']) {
      expect(output).toMatch(new RegExp(`^200: GET ${path} answered by process \\d+ over ${transport}$`, 'm'));
    }
  });

  check('04-ring-zero-copy adds up in place, or says why it has no ring', async () => {
    const output = await run('04-ring-zero-copy.js');
    if (transport === 'tcp') expect(output).toContain('no ring: the transport is tcp');
    else expect(output).toMatch(/sum there (\d+), expected \1\n/);
  });

  check('05-worker-messages gets every answer and every number from its worker', async () => {
    const output = await run('05-worker-messages.js');
    expect(output).toMatch(/^100000 answers in \d+ ms, .*: ... message 99, answered$/m);
    expect(output).toContain('500 frames of 65536 floats, sum 8175616000\n');
  });

  check('06-piscina-frames prices every option on its pool, near the exact price', async () => {
    const output = await run('06-piscina-frames.js');
    expect(output).toMatch(/^384 prices of 20000 paths on 2 threads in [\d.]+ s$/m);
    expect(output).toMatch(/^none is further than (0.5|1|1.5) from the exact one$/m);
  });

  check('07-rxjs-window gets every frame of the other process and sees the spike', async () => {
    const output = await run('07-rxjs-window.js');
    expect(output).toContain('frame 309: peak 3.00, mean ');
    expect(output).toContain(`500 frames over ${transport}, 5 windows with a peak\n`);
  });

  check('09-image-pipeline finds the ball in every picture that went through its three workers', async () => {
    const output = await run('09-image-pipeline.js');
    expect(output).toMatch(/^240 pictures of 256 x 256 through 3 workers, \d+ a second$/m);
    expect(output).toMatch(/^never further than [12] pixels from where the ball is$/m);
  });

  check('10-named-segment gets every reading of a process it shares a name with, or says what is missing', async (context) => {
    const output = await run('10-named-segment.js');
    context.skip(output.includes('ERR_SMC_NAMED_UNAVAILABLE'), 'shm-typed-array cannot be used here');
    expect(output).toMatch(/^the display, process \d+, is there$/m);
    expect(output).toMatch(/^100000 readings of process \d+, the warmest 25\.00 degrees$/m);
  });

  check('the demonstration ends by itself and shows all four parts', async () => {
    const output = await run('start.js');
    expect(refusals(output)).toEqual({
      [transport]: 'yes',
      ...(transport === 'tcp'
        ? { memory: 'local configuration', smcd: 'local configuration', smcr: 'local configuration' }
        : // What keeps SMC-R away is the machine's.
          { memory: 'path not-same-host', smcr: expect.stringMatching(/^(local|path) /) as string, tcp: 'peer not-preferred' }),
    });
    if (transport === 'tcp') for (const name of ['memory', 'smcd', 'smcr']) expect(output).toContain(`  to have ${name}: add it to`);
    expect(output).toMatch(/SHA-256 here +(\w{64})\n +SHA-256 there +\1\n/);
    expect(output).toMatch(new RegExp(`GET / -> 200: process \\d+ says hello over ${transport}\n`));
    for (const row of ['round trip of 64 B, median', 'messages of 64 B, one way', 'chunks of 64 KiB, one way']) {
      expect(output).toMatch(new RegExp(`^  ${row}( +[\\d.]+ (us|M/s|GB/s)){3}( +[\\d.]+x){2}$`, 'm'));
    }
  });
});
