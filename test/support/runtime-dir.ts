// runtime-dir.ts - gives every test file, and the processes it starts, a runtime directory of its own. Runs before the
// file is loaded, hence before the library first reads the environment.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

// mkdtemp creates with mode 0700, which is what the library asks of a directory it trusts.
const directory = mkdtempSync(join(tmpdir(), 'smc-test-'));
process.env['SMC_RUNTIME_DIR'] = directory;

afterAll(() => rmSync(directory, { recursive: true, force: true }));
