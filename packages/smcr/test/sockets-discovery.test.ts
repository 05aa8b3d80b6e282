// sockets-discovery.test.ts - connections whose ends learn of each other while TCP connects: who has agreed speaks CLC, who has not is not
// sent any.

import { once } from 'node:events';
import net from 'node:net';
import { connect, type Decline, type Socket, type SmcOptions } from '@smcjs/core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { collect, listen, LocalRdma, pair, type PairOptions } from './simulated/sockets.js';

const rdma = new LocalRdma();
const { discovery } = rdma;
const AUTO = { discovery: 'auto' } as const satisfies SmcOptions;
const NO_DEVICE = { ...AUTO, rdmaDevices: ['other'] } as const satisfies SmcOptions;

const auto = ({ client, server }: PairOptions = {}) => pair({ client: { ...AUTO, ...client }, server: { ...AUTO, ...server } });

const smcrOf = (socket: Socket): Decline | undefined => socket.declines.find(({ transport }) => transport === 'smcr');

async function carries([client, accepted]: [Socket, Socket]): Promise<void> {
  client.end('from the client');
  accepted.end('from the server');
  const [atClient, atServer] = await Promise.all([collect(client), collect(accepted)]);
  expect([atClient.toString(), atServer.toString()]).toEqual(['from the server', 'from the client']);
}

afterEach(() => {
  discovery.learned = () => true;
  discovery.outOfDescriptors = false;
});

describe('two ends that have agreed', () => {
  it('are SMC-R without being told', async () => {
    const ends = await auto();
    expect(ends.map(({ transport }) => transport)).toEqual(['smcr', 'smcr']);
    expect(ends.map(({ declines }) => declines.map(({ transport, reason }) => `${transport} ${reason}`))).toEqual([
      ['memory configuration', 'smcd configuration', 'tcp not-preferred'],
      ['memory configuration', 'smcd configuration', 'tcp not-preferred'],
    ]);
    await carries(ends);
  });

  it('may let the server speak first', async () => {
    const { server, port } = await listen({ ...AUTO, transports: ['smcr'], fallback: 'error' });
    server.on('connection', (socket) => socket.end('220 ready'));
    const client = connect({ transports: ['smcr'], ...AUTO, port, host: '127.0.0.1' } as never);
    onTestFinished(() => void client.destroy());
    expect((await collect(client)).toString()).toBe('220 ready');
    expect(client.transport).toBe('smcr');
  });

  it('may have a source that the program chooses, and a name', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const ends = await pair({ client: { ...AUTO, localAddress: '127.0.0.3', host } as never, server: AUTO });
      // There is no device for 127.0.0.3: this shows that it is the source, and that both ends go on.
      expect(ends.map(({ transport }) => transport)).toEqual(['tcp', 'tcp']);
      expect(ends[1].remoteAddress).toBe('127.0.0.3');
      expect(smcrOf(ends[0])).toMatchObject({ side: 'local', reason: 'no-gid' });
      await carries(ends);
    }
    const ends = await pair({ client: { ...AUTO, localAddress: '127.0.0.1' } as never, server: AUTO });
    expect(ends.map(({ transport }) => transport)).toEqual(['smcr', 'smcr']);
  });

  it('decline where the client has nothing to propose: it says so in place of a Proposal', async () => {
    const ends = await auto({ client: NO_DEVICE });
    expect(ends.map(({ transport }) => transport)).toEqual(['tcp', 'tcp']);
    expect(ends.map(smcrOf)).toMatchObject([
      { side: 'local', reason: 'no-device', code: 0x03030000 },
      { side: 'peer', reason: 'no-device', code: 0x03030000 },
    ]);
    await carries(ends);
  });

  it('decline where the server has nothing to accept with', async () => {
    const ends = await auto({ server: NO_DEVICE });
    expect(ends.map(smcrOf)).toMatchObject([
      { side: 'peer', reason: 'no-device' },
      { side: 'local', reason: 'no-device', detail: expect.stringContaining('sim0') as string },
    ]);
    await carries(ends);
  });

  it('are told when the other never speaks', async () => {
    const { server, port } = await listen({ ...AUTO, handshakeTimeout: 50 });
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const client = net.connect(port, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    const [accepted] = await accepting;
    expect(smcrOf(accepted)).toMatchObject({ side: 'peer', reason: 'peer-not-smc' });
    client.end('at last');
    expect((await collect(accepted)).toString()).toBe('at last');
  });
});

describe('an end that has not agreed is sent no CLC', () => {
  it('as server', async () => {
    discovery.learned = () => false;
    const ends = await auto();
    expect(ends.map(({ transport }) => transport)).toEqual(['tcp', 'tcp']);
    expect(ends.map(smcrOf)).toMatchObject([
      { side: 'peer', reason: 'peer-not-smc' },
      { side: 'peer', reason: 'peer-not-smc' },
    ]);
    await carries(ends);
  });

  it('as plain client, which is not waited for either', async () => {
    discovery.learned = () => false;
    const { server, port } = await listen({ ...AUTO, handshakeTimeout: 600_000 });
    server.on('connection', (socket) => socket.end('220 ready'));
    const client = net.connect(port, '127.0.0.1');
    expect((await collect(client)).toString()).toBe('220 ready');
  });

  it('as server of a client that could not ask', async () => {
    discovery.learned = (end) => end === 'client';
    discovery.outOfDescriptors = true;
    const ends = await auto();
    expect(smcrOf(ends[0])).toMatchObject({ side: 'path', reason: 'unknown-peer' });
    await carries(ends);
  });

  it("and 'fallback: error' says what is wrong", async () => {
    discovery.learned = () => false;
    const { port } = await listen(AUTO);
    const client = connect({ ...AUTO, transports: ['smcr'], fallback: 'error', port, host: '127.0.0.1' } as never);
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error).toMatchObject({ code: 'ERR_SMC_FALLBACK', message: expect.stringContaining('does not speak SMC') as string });
  });
});

it('nobody is asked without SMC-R among the transports', async () => {
  const before = discovery.asked;
  // (In this simulation a server would learn of every client that it speaks CLC.)
  discovery.learned = (end) => end === 'client';
  const ends = await auto({ client: { transports: ['tcp'] } });
  expect(discovery.asked).toBe(before);
  expect(ends[0].transport).toBe('tcp');
});
