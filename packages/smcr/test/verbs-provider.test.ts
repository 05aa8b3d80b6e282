// verbs-provider.test.ts - the libibverbs provider on a machine as it is, most likely without a device: it says what is missing,
// and nothing fails. With a device: test/guest.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { ibverbs } from '@smcjs/smcr/verbs';
import { describe, expect, it } from 'vitest';

const classes = '/sys/class/infiniband';
const bare = !existsSync(classes) || readdirSync(classes).length === 0;

/** What a new process prints for an expression over `provider`. */
function evaluate(expression: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]): unknown {
  const program = `import { ibverbs } from '@smcjs/smcr/verbs'; const provider = ibverbs(); console.log(JSON.stringify(${expression}));`;
  const options = { env: { ...process.env, ...env }, encoding: 'utf8' as const, cwd: import.meta.dirname };
  return JSON.parse(execFileSync(process.execPath, [...flags, '--input-type=module', '-e', program], options));
}

describe('the provider that is libibverbs', () => {
  it('says that there is no device, where there is none', async (context) => {
    if (!bare) context.skip('this machine has an RDMA device');
    const missing = ibverbs().probe();
    expect(['no-subsystem', 'no-device']).toContain(missing?.reason);
    expect(missing?.detail).not.toBe('');
    expect(await ibverbs().devices()).toEqual([]);
  });

  // Where there is RDMA: test/guest/readiness.test.ts.
  it('loads no addon where the kernel has no RDMA, and is no failure without one', (context) => {
    if (existsSync('/sys/class/infiniband')) context.skip('the kernel of this machine has RDMA');
    const env = { SMC_VERBS_ADDON: '/nowhere/smcr.node' };
    expect(evaluate('provider.probe()', env)).toMatchObject({ reason: 'no-subsystem' });
    expect(evaluate('await provider.devices()', env)).toEqual([]);
  });

  it('under the permission model says that the addon is not allowed, for it sees no files', () => {
    const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
    expect(evaluate('provider.probe()', {}, flag, '--allow-fs-read=*')).toMatchObject({ reason: 'permission' });
  });

  it('is one per event loop', () => {
    expect(ibverbs()).toBe(ibverbs());
    expect(ibverbs().name).toBe('libibverbs');
  });
});
