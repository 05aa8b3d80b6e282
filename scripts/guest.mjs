// guest.mjs - runs a command in the test guest, where there is RDMA (rxe0) and the kernel's SMC; its exit code is the
// command's.
//
//   node scripts/guest.mjs ibv_devinfo
//   node scripts/guest.mjs --timeout 300 node packages/examples/dist/08-rdma-verbs.js
//   node scripts/guest.mjs --no-rxe sh -c 'rdma link; dmesg'

import { guestLacks, runInGuest } from './guest/boot.mjs';
import { runAsProgram, StepError } from './steps.mjs';

await runAsProgram(import.meta.url, async (args) => {
  const options = { timeout: 120, rxe: true, onOutput: (chunk) => process.stdout.write(chunk) };
  while (args[0]?.startsWith('--')) {
    const option = args.shift();
    if (option === '--timeout') options.timeout = Number(args.shift());
    else if (option === '--no-rxe') options.rxe = false;
    else throw new StepError(`unknown option ${option}`, { advice: 'use --timeout SECONDS or --no-rxe, then the command' });
  }
  if (args.length === 0) throw new StepError('no command', { advice: 'node scripts/guest.mjs ibv_devinfo' });
  const lacks = guestLacks();
  if (lacks !== undefined) throw new StepError('no guest can run here', { advice: lacks });
  const { code } = await runInGuest(args, options);
  if (code === undefined) throw new StepError(`the command did not end within ${options.timeout} s, or the guest broke down; see above`);
  return code;
});
