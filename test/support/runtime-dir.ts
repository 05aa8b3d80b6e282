// runtime-dir.ts - the environment of every test file and of the processes it starts: a runtime directory of its own, and
// patience. Runs before the file is loaded, hence before the library first reads its variables.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

// mkdtemp creates with mode 0700, which is what the library asks of a directory it trusts.
const directory = mkdtempSync(join(tmpdir(), 'smc-test-'));
process.env.SMC_RUNTIME_DIR = directory;

// On a loaded machine a listener may take long to offer SMC. A test that is about the wait sets its own.
process.env.SMC_DISCOVERY_WAIT = '30000';
process.env.SMC_HANDSHAKE_TIMEOUT = '60000';

afterAll(() => rmSync(directory, { recursive: true, force: true }));
