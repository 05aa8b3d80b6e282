// stall-guard.test.ts - the stall guard's own threads under ThreadSanitizer, over an adapter of memory: native/guard-stress.cc.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'smc-guard-'));
const program = join(directory, 'guard-stress');
const sources = join(import.meta.dirname, '../native/src');
const files = [join(import.meta.dirname, 'native/guard-stress.cc'), join(sources, 'completions.cc'), join(sources, 'stall_guard.cc')];
const seeds = process.env.SMC_TEST_LONG === '1' ? [1, 2, 3, 4, 5, 6, 7, 8] : [1, 2];

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Why there is no program with ThreadSanitizer; undefined when there is one. What does not compile is an error. */
function build(): string | undefined {
  if (process.platform !== 'linux') return 'the guard is for Linux';
  const empty = spawnSync('g++', ['-fsanitize=thread', '-x', 'c++', '-', '-o', program], { input: 'int main() {}' });
  if (empty.status !== 0) return 'there is no g++ with ThreadSanitizer';
  execFileSync('g++', ['-std=c++20', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fsanitize=thread', '-pthread', ...files, '-o', program]);
  return undefined;
}

it('shares a queue with a loop that stands still at random: all in order, each TEST LINK answered once, no data race', {
  timeout: 400_000,
}, (context) => {
  const missing = build();
  if (missing !== undefined) context.skip(missing);
  for (const seed of seeds) {
    let run = spawnSync(program, [String(seed), '1500'], { encoding: 'utf8' });
    // Kernels that place memory more randomly than the sanitizer expects.
    if (run.stderr.includes('unexpected memory mapping'))
      run = spawnSync('setarch', ['-R', program, String(seed), '1500'], { encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.stdout).toMatch(/^ok .* stalls=[1-9]\d* answered=[1-9]\d* kept=[1-9]\d*\n$/);
  }
});
