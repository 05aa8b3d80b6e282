// kernel-cost.test.ts - what a message costs, by the counters of both sides: RDMA WRITEs and CDC messages by ours, packets by the device,
// wake-ups by the scheduler. The kernel's own SMC between two programs is the measure.

import { beforeAll, describe, expect, it } from 'vitest';
import { KernelAgent } from './kernel-agent.js';
import { packetsSent } from './rdma.js';
import { closeBoth, pair, prepare, ROLES } from './smc-pair.js';

const ROUNDS = 500;
/** For what goes on beside: TEST LINK, the start, a preempted thread. */
const SLACK = 0.05 * ROUNDS;
const SIZE = [64];

beforeAll(prepare);

const sleeps = async (agent: KernelAgent): Promise<number> => (await agent.do('sleeps', {})).count as number;

/** A round trip between two programs on the kernel's SMC. */
async function kernelAlone(): Promise<{ packets: number; sleeps: number }> {
  const [client, server] = [new KernelAgent(), new KernelAgent()];
  const { port } = await server.do('listen', { name: 'l' });
  const accepting = server.do('accept', { name: 'c', listener: 'l' });
  await client.do('connect', { name: 'c', port });
  await accepting;
  const echoed = server.do('echo', { name: 'c' });
  await client.do('rounds', { name: 'c', sizes: SIZE, count: 20 });
  const before = { packets: packetsSent(), sleeps: await sleeps(client) };
  await client.do('rounds', { name: 'c', sizes: SIZE, count: ROUNDS });
  const after = { packets: packetsSent(), sleeps: await sleeps(client) };
  await client.do('shutdown', { name: 'c' });
  await echoed;
  for (const agent of [client, server]) await agent.do('close', { name: 'c' });
  return { packets: after.packets - before.packets, sleeps: after.sleeps - before.sleeps };
}

describe.each(ROLES)('a message of 64 B, we as %s,', (role) => {
  it('is one RDMA WRITE, one CDC message and one wake-up, and no more packets than with the kernel alone', async () => {
    const kernel = await kernelAlone();
    const { stream, agent, name } = await pair(role, { options: { busyPoll: 'off' } });
    const echoed = agent.do('echo', { name });
    await stream.rounds(SIZE, 20);
    const [before, packets] = [stream.socket.stats(), packetsSent()];
    await stream.rounds(SIZE, ROUNDS);
    const [after, sent] = [stream.socket.stats(), packetsSent() - packets];
    const grown = (what: 'rdmaWrites' | 'notifications' | 'doorbells') => (after[what] as number) - (before[what] as number);
    console.log(
      `${ROUNDS} round trips: ${grown('rdmaWrites')} RDMA WRITEs, ${grown('notifications')} CDC messages, ${grown('doorbells')} wake-ups, ${sent} packets; ` +
        `the kernel's SMC alone: ${kernel.packets} packets, ${kernel.sleeps} wake-ups of its client`,
    );
    expect(grown('rdmaWrites')).toBe(ROUNDS);
    expect(grown('notifications')).toBeLessThanOrEqual(ROUNDS + SLACK);
    expect(grown('doorbells')).toBeLessThanOrEqual(ROUNDS + SLACK);
    expect(grown('doorbells')).toBeLessThanOrEqual(kernel.sleeps + SLACK);
    expect(sent).toBeLessThanOrEqual(kernel.packets + 8 * SLACK);
    stream.shutdown();
    await echoed;
    await closeBoth({ stream, agent, name });
  });
});
