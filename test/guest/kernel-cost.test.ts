// kernel-cost.test.ts - what a message costs, by the counters of both sides: RDMA WRITEs and CDC messages by ours and by what the kernel
// posts, completions by the device, packets by the device, wake-ups by the scheduler. The kernel's own SMC between two programs is the
// measure: in place of one of them, we may not add anything.

import { beforeAll, describe, expect, it } from 'vitest';
import { KernelAgent } from './kernel-agent.js';
import { packetsSent } from './rdma.js';
import { closeBoth, pair, prepare, ROLES } from './smc-pair.js';
import { countVerbs, verbCounts } from './verb-counts.js';

const ROUNDS = 500;
/** For what goes on beside: TEST LINK, the start, a preempted thread. */
const SLACK = 0.05 * ROUNDS;
const SIZE = [64];

interface Cost {
  /** Of both ends. */
  readonly packets: number;
  readonly completions: number;
  /** Of one end; of two equal ones, half. */
  readonly writes: number;
  readonly messages: number;
  readonly sleeps: number;
}

beforeAll(() => {
  prepare();
  countVerbs();
});

const sleeps = async (agent: KernelAgent): Promise<number> => (await agent.do('sleeps', {})).count as number;

/** Round trips between two programs on the kernel's SMC. */
async function kernelAlone(): Promise<Cost> {
  const [client, server] = [new KernelAgent(), new KernelAgent()];
  const { port } = await server.do('listen', { name: 'l' });
  const accepting = server.do('accept', { name: 'c', listener: 'l' });
  await client.do('connect', { name: 'c', port });
  await accepting;
  const echoed = server.do('echo', { name: 'c' });
  await client.do('rounds', { name: 'c', sizes: SIZE, count: 20 });
  const counts = async () => ({ ...verbCounts(), packets: packetsSent(), sleeps: await sleeps(client) });
  const before = await counts();
  await client.do('rounds', { name: 'c', sizes: SIZE, count: ROUNDS });
  const after = await counts();
  await client.do('shutdown', { name: 'c' });
  await echoed;
  for (const agent of [client, server]) await agent.do('close', { name: 'c' });
  const grown = (what: keyof typeof after) => after[what] - before[what];
  return {
    packets: grown('packets'),
    completions: grown('completions'),
    writes: (grown('posted') - grown('messages')) / 2,
    messages: grown('messages') / 2,
    sleeps: grown('sleeps'),
  };
}

/** The same with a socket of ours at one end. */
async function withUs(role: (typeof ROLES)[number]): Promise<Cost> {
  const { stream, agent, name } = await pair(role, { options: { busyPoll: 'off' } });
  const echoed = agent.do('echo', { name });
  await stream.rounds(SIZE, 20);
  const counts = () => {
    const { rdmaWrites, notifications, doorbells } = stream.socket.stats() as Required<ReturnType<typeof stream.socket.stats>>;
    return { rdmaWrites, notifications, doorbells, packets: packetsSent(), completions: verbCounts().completions };
  };
  const before = counts();
  await stream.rounds(SIZE, ROUNDS);
  const after = counts();
  stream.shutdown();
  await echoed;
  await closeBoth({ stream, agent, name });
  const grown = (what: keyof typeof after) => after[what] - before[what];
  return {
    packets: grown('packets'),
    completions: grown('completions'),
    writes: grown('rdmaWrites'),
    messages: grown('notifications'),
    sleeps: grown('doorbells'),
  };
}

const told = ({ packets, completions, writes, messages, sleeps }: Cost): string =>
  `${packets} packets and ${completions} completions of both ends, ${writes} RDMA WRITEs, ${messages} messages, ${sleeps} wake-ups of one`;

describe.each(ROLES)('a message of 64 B, we as %s,', (role) => {
  it('is one RDMA WRITE, one CDC message and one wake-up, and nothing of it is more than with the kernel alone', async () => {
    const kernel = await kernelAlone();
    const ours = await withUs(role);
    console.log(`${ROUNDS} round trips with us: ${told(ours)}; the kernel's SMC alone: ${told(kernel)}`);
    // What the kernel's are is known: whoever counts something else finds out here.
    for (const what of ['writes', 'messages'] as const) expect(Math.abs(kernel[what] - ROUNDS)).toBeLessThanOrEqual(SLACK);
    expect(ours.writes).toBe(ROUNDS);
    for (const what of ['writes', 'messages', 'sleeps'] as const) expect(ours[what]).toBeLessThanOrEqual(kernel[what] + SLACK);
    for (const what of ['messages', 'sleeps'] as const) expect(ours[what]).toBeLessThanOrEqual(ROUNDS + SLACK);
    // Of both ends: a completion for each message at either end, twice as many slack messages.
    expect(ours.completions).toBeLessThanOrEqual(kernel.completions + 2 * SLACK);
    expect(ours.packets).toBeLessThanOrEqual(kernel.packets + 8 * SLACK);
  });
});
