// smcr-declines.test.ts - sockets of ours and the kernel's SMC that are TCP in the end, in both roles: the reason at our socket, the code at
// the kernel's, and bytes both ways. Ways for which a message has to be tampered with are in kernel-declines.test.ts.

import { execFileSync } from 'node:child_process';
import type { Decline, SmcOptions } from '@smcjs/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KernelAgent } from './kernel-agent.js';
import { addUeid, removeUeids, type SmcSocket } from './kernel-smc.js';
import { closeBoth, type Pair, pair, prepare, type Role, UEID, type Way } from './smc-pair.js';
import type { SmcStream } from './smc-stream.js';

/** Of an interface without an RDMA device. */
const ELSEWHERE = '10.9.9.1';
const BOTH = { transports: ['smcr', 'tcp'], fallback: 'tcp' } as const satisfies SmcOptions;
const PEER_DECLINED = '0x05000000';

beforeAll(() => {
  prepare();
  execFileSync('ip', ['link', 'add', 'elsewhere', 'type', 'veth', 'peer', 'name', 'elsewhere1']);
  execFileSync('ip', ['address', 'add', `${ELSEWHERE}/24`, 'dev', 'elsewhere']);
  execFileSync('ip', ['link', 'set', 'elsewhere', 'up']);
});
afterAll(() => {
  execFileSync('ip', ['link', 'del', 'elsewhere']);
  addUeid(UEID);
});

const why = ({ socket }: SmcStream): Decline | undefined => socket.declines.find(({ transport }) => transport === 'smcr');

async function kernelEnd(agent: KernelAgent): Promise<SmcSocket | undefined> {
  return (await agent.facts()).sockets.find(({ mode, state }) => mode === 'tcp' && state === 'active');
}

/** A connection that is TCP: what both ends say of it, after bytes have gone both ways. */
async function fallenBack(role: Role, way: Way): Promise<{ ours: Decline | undefined; kernel: SmcSocket | undefined }> {
  const ends: Pair = await pair(role, { ...way, options: { ...BOTH, ...way.options } });
  const { stream, agent, name } = ends;
  expect(stream.socket.transport).toBe('tcp');
  const [kernel] = await Promise.all([
    kernelEnd(agent),
    stream.exchange(100_000, 1, 2),
    agent.do('exchange', { name, bytes: 100_000, seed: 2, theirs: 1 }).then((line) => expect(line).toMatchObject({ same: true })),
  ]);
  await closeBoth(ends);
  return { ours: why(stream), kernel };
}

describe('a connection with the kernel is TCP', () => {
  it('with no EID in common, we as client: the kernel says no', async () => {
    const { ours, kernel } = await fallenBack('client', { options: { ueids: ['ANOTHER'] } });
    expect(ours).toMatchObject({ side: 'peer', code: 0x03030000 });
    expect(kernel).toMatchObject({ reason: '0x03030000' });
  });

  it('with no EID in common, we as server: we say no', async () => {
    const { ours, kernel } = await fallenBack('server', { options: { ueids: ['ANOTHER'] } });
    expect(ours).toMatchObject({ side: 'local', reason: 'no-ueid', code: 0x03030008, hint: expect.stringContaining('UEID') as string });
    expect(kernel).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x03030008' });
  });

  it('when the kernel has no EID at all: as client it declines in place of a Proposal', async () => {
    removeUeids();
    try {
      const { ours, kernel } = await fallenBack('server', {});
      expect(ours).toMatchObject({ side: 'peer', code: 0x03030000 });
      expect(kernel).toMatchObject({ reason: '0x03030000', peerDiagnosis: '0x00000000' });
    } finally {
      addUeid(UEID);
    }
  });

  it('when we may use no device, we as client: we decline in place of a Proposal', async () => {
    const { ours, kernel } = await fallenBack('client', { options: { rdmaDevices: ['none'] } });
    expect(ours).toMatchObject({ side: 'local', reason: 'no-device', detail: expect.stringContaining('rxe0') as string });
    expect(kernel).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x03030000' });
  });

  it('when we may use no device, we as server', async () => {
    const { ours, kernel } = await fallenBack('server', { options: { rdmaDevices: ['none'] } });
    expect(ours).toMatchObject({ side: 'local', reason: 'no-device' });
    expect(kernel).toMatchObject({ reason: PEER_DECLINED, peerDiagnosis: '0x03030000' });
  });

  it.each(['client', 'server'] as const)('over an address that no RDMA device has, we as %s', async (role) => {
    const { ours } = await fallenBack(role, { ours: ELSEWHERE, kernel: ELSEWHERE });
    // Whoever notices first says so: the kernel finds no device for the interface either.
    expect([0x0a150000, 0x03030000]).toContain(ours?.code);
    expect(ours?.hint).not.toBe('');
  });

  it.each(['client', 'server'] as const)('with a plain program, we as %s: nobody says anything of SMC to it', async (role) => {
    const { ours, kernel } = await fallenBack(role, { kind: 'tcp' });
    expect(ours).toMatchObject({ side: 'peer', reason: 'peer-not-smc', code: 0x03010000 });
    expect(kernel).toBe(undefined);
  });
});
