#!/usr/bin/env node
// smc.mjs - the program `smc`; see ../src/cli/smc.ts.
import { smc } from '../dist/cli/smc.js';

process.exitCode = await smc(process.argv.slice(2));
