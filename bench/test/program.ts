// program.ts - the benchmark as a program, for tests: how it ended, and the figures it wrote.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach } from 'vitest';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const bench = (...argv: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, ...argv], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });

/** The same in its quick form, with one round, and what is in its JSON file. */
export async function measured<T>(...argv: string[]): Promise<Ended & { figures: T }> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-test-'));
  try {
    const file = join(directory, 'figures.json');
    const ended = await bench('--quick', '--rounds', '1', ...argv, '--json', file);
    return { ...ended, figures: JSON.parse(existsSync(file) ? readFileSync(file, 'utf8') : 'null') as T };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** In a describe: nothing is measured before it is built. */
export function needsBuild(): void {
  beforeEach((context) => context.skip(!existsSync(main), 'the benchmark is not built (npm run build)'));
}
