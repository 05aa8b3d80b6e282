// bench.mjs - `npm run bench`: set-up, then the side-by-side benchmark (bench/main.ts) with the arguments given.
//
//   npm run bench                    everything, about 12 minutes
//   npm run bench -- --quick         within 90 seconds
//   npm run bench -- --guest         SMC-R and the kernel's SMC, in the test guest
//   npm run bench -- --help          all options

import { join } from 'node:path';
import { guestLacks, runInGuest } from './guest/boot.mjs';
import { setup } from './setup.mjs';
import { ROOT, runAsProgram, runVisibly, StepError } from './steps.mjs';

const MAIN = join(ROOT, 'bench/dist/main.js');
/** Seconds: processors there are emulated. */
const LIMIT = 1500;

/** What a run in the guest measures unless told otherwise. */
const IN_GUEST = ['--only', 'roundtrip,oneway', '--transports', 'smcr,smc-kernel,tcp/stream', '--sizes', '64,64K'];

await runAsProgram(import.meta.url, async (args) => {
  await setup();
  if (!args.includes('--guest')) return runVisibly(process.execPath, [MAIN, ...args]);
  if (args.some((arg) => arg.startsWith('--json')))
    throw new StepError('--json has no place in the guest', { advice: 'its files are gone with it' });
  const lacks = guestLacks();
  if (lacks !== undefined) throw new StepError('no guest can run here', { advice: lacks });
  const given = IN_GUEST.flatMap((name, i) => (i % 2 === 0 && !args.includes(name) ? [name, IN_GUEST[i + 1]] : []));
  // The kernel's SMC needs a name in common with its peer, which is itself.
  const script = `python3 ${join(ROOT, 'test/guest/kernel/smc_info.py')} ueid SMCJS && exec "$0" ${MAIN} "$@"`;
  const { code } = await runInGuest(['sh', '-c', script, process.execPath, ...given, ...args], {
    timeout: LIMIT,
    onOutput: (chunk) => process.stdout.write(chunk),
  });
  if (code === undefined) throw new StepError(`the benchmark did not end within ${LIMIT} s, or the guest broke down; see above`);
  return code;
});
