// versions.test.ts - the compliance suite under the other versions of Node that are installed, one test each.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OURS = Number(process.versions.node.split('.')[0]);
const VERSIONS = [22, 24, 26];

interface Summary {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly testResults: {
    readonly assertionResults: { readonly status: string; readonly fullName: string; readonly failureMessages: string[] }[];
  }[];
}

/** Every suite here but this one. */
function suites(): string[] {
  const here = fileURLToPath(new URL('.', import.meta.url));
  return readdirSync(here)
    .filter((name) => name.endsWith('.test.ts') && name !== 'versions.test.ts')
    .map((name) => join(here, name));
}

async function run(node: string): Promise<{ output: string; summary: Summary | undefined }> {
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

describe('the compliance suite', () => {
  for (const version of VERSIONS) {
    const node = join(ROOT, `node_modules/node-${version}/bin/node`);
    it(`passes under Node ${version}`, { timeout: 900_000 }, async (context) => {
      if (version === OURS) context.skip('it is the version that runs this');
      if (!existsSync(node)) context.skip(`not installed: ${node}`);
      const { output, summary } = await run(node);
      expect(summary, output).toBeDefined();
      const all = (summary as Summary).testResults.flatMap((file) => file.assertionResults);
      const failed = all.filter((test) => test.status === 'failed').map((test) => `${test.fullName}: ${test.failureMessages[0]}`);
      expect(failed).toEqual([]);
      expect((summary as Summary).success, output).toBe(true);
      expect((summary as Summary).numPassedTests).toBeGreaterThan(0);
    });
  }
});
