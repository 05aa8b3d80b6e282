// compliance.test.ts - the compliance suite over SMC-R on a real (software) device, with both ends in one process.

import { execFileSync } from 'node:child_process';
import { beforeAll, vi } from 'vitest';
import { compliance } from '../compliance/compliance.js';
import { only } from '../compliance/ours.js';
import { CONNECTS } from './lengths.js';

// The longest takes 20 s: one that hangs is to be named before the guest's own limit ends everything.
vi.setConfig({ testTimeout: 120_000 });

// For the few tests that give no options, and for processes they start.
process.env.SMC_DISCOVERY = 'inline';

// An address is one of the device when it is one of its network interface.
beforeAll(() => void execFileSync('ip', ['address', 'add', '127.0.0.2/8', 'dev', 'lo']));

// Emulated processors: what takes milliseconds elsewhere may take seconds. A plain client that says nothing is waited for as long.
compliance({ ...only('smcr', { discovery: 'inline', handshakeTimeout: 20_000 }), turns: Math.min(CONNECTS / 2, 200) });
