// verbs-provider.test.ts - the libibverbs provider on a machine as it is, most likely without a device: it says what is missing,
// and nothing fails. With a device: test/guest.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { ibverbs } from '@smcjs/smcr/verbs';
import { describe, expect, it } from 'vitest';

const classes = '/sys/class/infiniband';
const bare = !existsSync(classes) || readdirSync(classes).length === 0;

/** What a new process prints for an expression over `provider`. */
function evaluate(expression: string, env: NodeJS.ProcessEnv = {}): unknown {
  const program = `import { ibverbs } from '@smcjs/smcr/verbs'; const provider = ibverbs(); console.log(JSON.stringify(${expression}));`;
  const options = { env: { ...process.env, ...env }, encoding: 'utf8' as const, cwd: import.meta.dirname };
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], options));
}

describe('the provider that is libibverbs', () => {
  it('says that there is no device, where there is none', async (context) => {
    if (!bare) context.skip('this machine has an RDMA device');
    const missing = ibverbs().probe();
    expect(['no-subsystem', 'no-device', 'no-addon']).toContain(missing?.reason);
    expect(missing?.detail).not.toBe('');
    expect(await ibverbs().devices()).toEqual([]);
  });

  it('lists every attempt when the addon cannot be loaded, and is no failure', () => {
    const env = { SMC_VERBS_ADDON: '/nowhere/smcr.node' };
    expect(evaluate('provider.probe()', env)).toEqual({
      reason: 'no-addon',
      detail: expect.stringContaining('/nowhere/smcr.node: '),
    });
    expect(evaluate('await provider.devices()', env)).toEqual([]);
  });

  it('is one per event loop', () => {
    expect(ibverbs()).toBe(ibverbs());
    expect(ibverbs().name).toBe('libibverbs');
  });
});
