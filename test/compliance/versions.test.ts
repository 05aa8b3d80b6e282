// versions.test.ts - the compliance suite under the other versions of Node that are installed, one test each.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, type TestContext } from 'vitest';
import { documented, type Outcome, render, seenIn } from './matrix.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OURS = Number(process.versions.node.split('.')[0]);
const VERSIONS = [22, 24, 26];

const DOCUMENT = join(ROOT, 'docs/compliance.md');
const WRITE = process.env.SMC_WRITE_MATRIX === '1';

interface Result extends Outcome {
  readonly fullName: string;
  readonly failureMessages: string[];
}

interface Summary {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly testResults: { readonly assertionResults: Result[] }[];
}

/** What was seen under each version that has run here. */
const runs = new Map<number, readonly Result[]>();

/** Every suite here but this one. */
function suites(): string[] {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return readdirSync(here)
    .filter((name) => name.endsWith('.test.ts') && name !== 'versions.test.ts')
    .map((name) => join(here, name));
}

async function run(node: string, { onTestFinished }: TestContext): Promise<{ output: string; summary: Summary | undefined }> {
  const directory = mkdtempSync(join(tmpdir(), 'smc-versions-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const outputFile = join(directory, 'summary.json');
  // The variables by which vitest knows its own workers must not reach another vitest.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$|NODE_OPTIONS$)/.test(name)));
  const child = spawn(node, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${outputFile}`, ...suites()], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((resolve) => child.once('close', resolve));
  return { output, summary: existsSync(outputFile) ? (JSON.parse(readFileSync(outputFile, 'utf8')) as Summary) : undefined };
}

const program = (version: number): string => (version === OURS ? process.execPath : join(ROOT, `node_modules/node-${version}/bin/node`));
const versions = [...new Set([OURS, ...VERSIONS])].sort((a, b) => a - b);

// At the same time: each mostly waits.
describe.concurrent('the compliance suite', () => {
  for (const version of versions) {
    // To write the document all must have run here. Else the version that runs this runs the suites beside this file, too.
    if (version === OURS && !WRITE) continue;
    const node = program(version);
    it(`passes under Node ${version}`, { timeout: 900_000 }, async (context) => {
      if (!existsSync(node)) context.skip(`not installed: ${node}`);
      const { output, summary } = await run(node, context);
      expect(summary, output).toBeDefined();
      const all = (summary as Summary).testResults.flatMap((file) => file.assertionResults);
      runs.set(version, all);
      const failed = all.filter((test) => test.status === 'failed').map((test) => `${test.fullName}: ${test.failureMessages[0]}`);
      expect(failed).toEqual([]);
      expect((summary as Summary).success, output).toBe(true);
      expect((summary as Summary).numPassedTests).toBeGreaterThan(0);
    });
  }
});

describe('the compliance suite, then,', () => {
  it('is documented: docs/compliance.md has the rows that were seen, all of which hold everywhere', (context) => {
    const seen = new Map([...runs].sort(([one], [other]) => one - other));
    if (WRITE) {
      expect([...seen.keys()]).toEqual(versions);
      const full = (major: number): string => execFileSync(program(major), ['--version'], { encoding: 'utf8' }).trim().slice(1);
      writeFileSync(
        DOCUMENT,
        render(
          seenIn(seen),
          versions.map((major) => ({ major, full: full(major) })),
        ),
      );
    }
    if (runs.size === 0) context.skip('no version has run the suite here');
    const rows = documented(readFileSync(DOCUMENT, 'utf8'));
    expect([...rows.keys()].sort()).toEqual([...seenIn(seen).keys()].sort());
    expect([...rows].filter(([, everywhere]) => !everywhere)).toEqual([]);
  });
});
