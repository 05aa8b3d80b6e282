// mtu.test.ts - two ends whose networks take frames of different lengths: both use the lower of the two MTUs, which CLC tells each, and
// every byte arrives. Frames really travel: one that is too long for the other end's interface would be lost.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from '@smcjs/core';
import { ibverbs, type RtrAttributes } from '@smcjs/smcr/verbs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { makeEnd } from './connected.js';
import { addPnetids, removePnetids } from './kernel-smc.js';
import { packetsSent } from './rdma.js';
import { closeBoth, connected, pair, prepare, ROLES, SMCR } from './smc-pair.js';
import { SmcStream } from './smc-stream.js';
import { makeNetworks, removeNetworks, run } from './two-networks.js';

const BYTES = 4 << 20;
/** What an interface of 1500 bytes leaves, and one of 4200: codes of verbs, and of CLC. */
const [LOWER, HIGHER] = [3, 5] as const;
const LOWER_BYTES = 1024;

/** Each network has a side with short frames; a pair of ends that is new to both makes a link group, with queue pairs, of its own. */
const NETWORKS = [
  { lower: 'we have', ours: '10.0.0.1', device: 'rxa0', theirs: '10.0.0.2', theirDevice: 'rxa1', long: 'a1' },
  { lower: 'the other end has', ours: '10.0.0.3', device: 'rxb0', theirs: '10.0.0.4', theirDevice: 'rxb1', long: 'b0' },
] as const;

/** The path MTU of each queue pair of this process that was connected. */
const pathMtus: number[] = [];

/** What the port of a device says; and notes the path MTUs from now on. */
async function activeMtu(name: string): Promise<number> {
  const device = (await ibverbs().devices()).find((one) => one.name === name);
  if (device === undefined) throw new Error(`there is no ${name}`);
  const context = await device.open();
  try {
    if (!noting) {
      const { pair: any } = await makeEnd(context, await context.allocatePd());
      const all = Object.getPrototypeOf(any) as { toRtr(attributes: RtrAttributes): Promise<void> };
      const { toRtr } = all;
      all.toRtr = function (attributes) {
        pathMtus.push(attributes.pathMtu);
        return toRtr.call(this, attributes);
      };
      noting = true;
    }
    return (await context.queryPort(1)).activeMtu;
  } finally {
    await context.close();
  }
}
let noting = false;

beforeAll(() => {
  prepare();
  makeNetworks();
  for (const { long } of NETWORKS) run('ip', 'link', 'set', long, 'mtu', '4200');
});
afterAll(removeNetworks);

describe.each(NETWORKS)('where $lower the lower MTU', ({ lower, ours, device, theirs, theirDevice }) => {
  const options = { ...SMCR, rdmaDevices: [device] };

  beforeAll(() => {
    // Of several devices of one network the kernel would take the first.
    removePnetids();
    addPnetids(['KERNELS', 'ib', theirDevice], ['KERNELS', 'eth', 'lo']);
  });

  it('the devices differ', async () => {
    const both = [await activeMtu(device), await activeMtu(theirDevice)];
    expect(both).toEqual(lower === 'we have' ? [LOWER, HIGHER] : [HIGHER, LOWER]);
  });

  /** `sending`: the device whose packets `transfer` makes, which are counted. */
  async function isCarried(sending: string, transfer: () => Promise<unknown>): Promise<void> {
    const before = packetsSent(sending);
    await transfer();
    expect(packetsSent(sending) - before).toBeGreaterThanOrEqual(BYTES / LOWER_BYTES);
  }

  it.each(ROLES)('we as %s and the kernel use it', async (role) => {
    pathMtus.length = 0;
    const ends = await pair(role, { ours, kernel: theirs, options });
    const { stream, agent, name } = ends;
    expect(stream.socket.transport).toBe('smcr');
    expect(pathMtus).toEqual([LOWER]);
    expect((await agent.facts()).groups.flatMap(({ links }) => links)).toContainEqual(expect.objectContaining({ device: theirDevice }));
    await isCarried(device, () => Promise.all([stream.send(BYTES, 1), agent.do('receive', { name, bytes: BYTES, seed: 1 })]));
    await isCarried(theirDevice, () => Promise.all([stream.receive(BYTES, 2), agent.do('send', { name, bytes: BYTES, seed: 2 })]));
    await closeBoth(ends);
  });

  it('two sockets of ours use it', async () => {
    pathMtus.length = 0;
    const server = createServer({ ...SMCR, rdmaDevices: [theirDevice], allowHalfOpen: true });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, theirs, resolve));
    const { port } = server.address() as AddressInfo;
    const coming = once(server, 'connection') as Promise<[Socket]>;
    const client = await connected(connect({ ...options, port, host: theirs, localAddress: ours, allowHalfOpen: true } as never));
    const accepted = new SmcStream((await coming)[0]);
    expect([client, accepted].map(({ socket }) => socket.transport)).toEqual(['smcr', 'smcr']);
    expect(pathMtus).toEqual([LOWER, LOWER]);
    await isCarried(device, () => Promise.all([client.send(BYTES, 1), accepted.receive(BYTES, 1)]));
    await isCarried(theirDevice, () => Promise.all([accepted.send(BYTES, 2), client.receive(BYTES, 2)]));
    for (const stream of [client, accepted]) stream.close();
    await Promise.all([client.closed, accepted.closed]);
  });
});
