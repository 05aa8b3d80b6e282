#!/usr/bin/env node
// smc-probe.mjs - the program `smc-probe`; see ../src/cli/probe.ts.
import { smcProbe } from '../dist/cli/probe.js';

process.exitCode = await smcProbe(process.argv.slice(2));
