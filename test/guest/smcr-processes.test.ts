// smcr-processes.test.ts - SMC-R between processes on a real (software) device: large transfers, many connects, processes that exit and
// are killed, and what they leave of the device's.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import type { EndpointArgs } from '../peers/endpoint.js';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { Peer } from '../support/peer.js';
import { payload } from '../support/random.js';
import { CONNECTS, KIBIBYTES_OF_MANY, MEBIBYTES } from './lengths.js';
import { packetsSent, resourcesOf } from './rdma.js';

const options = { transports: ['smcr'], discovery: 'inline', fallback: 'error', handshakeTimeout: 60_000 } as const;
const side = { module: '@smcjs/core', options } as const;

const exchanger = (args: Omit<ExchangerArgs, 'side' | 'first'>, ringSize: number) =>
  new Peer('exchanger', { side: { ...side, options: { ...options, ringSize } }, first: 'client', ...args });
/** Of the stream that one side sends over the connection with this port of the client. */
const digest = (role: 'client' | 'server', clientPort: number, length: number): string =>
  createHash('sha256')
    .update(payload(clientPort * 2 + (role === 'server' ? 1 : 0), length))
    .digest('hex');
/** Memory of a process that is in use. */
const residentBytes = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
const endpoint = (args: Omit<EndpointArgs, 'side'>) => new Peer('endpoint', { side, ...args });

async function exchange(length: number, connections: number, rings: readonly [number, number]): Promise<void> {
  const server = exchanger({ role: 'server', length, connections, port: 0 }, rings[0]);
  const { port } = await server.message('listening');
  const client = exchanger({ role: 'client', length, connections, port: port as number }, rings[1]);
  const before = packetsSent();
  const [atServer, atClient] = await Promise.all([server.messages('exchanged'), client.messages('exchanged')]);
  expect([atServer.length, atClient.length]).toEqual([connections, connections]);
  for (const one of atClient) {
    const other = atServer.find(({ clientPort }) => clientPort === one.clientPort);
    expect([one.transport, other?.transport]).toEqual(['smcr', 'smcr']);
    expect([one.received, other?.received]).toEqual([length, length]);
    expect([one.failure, other?.failure]).toEqual([undefined, undefined]);
    expect([one.sha256, other?.sha256]).toEqual([
      digest('server', one.clientPort as number, length),
      digest('client', one.clientPort as number, length),
    ]);
  }
  expect(packetsSent() - before).toBeGreaterThan((2 * length * connections) / 4096);
}

describe('between two processes', () => {
  it(`${MEBIBYTES} MiB go both ways at once, around rings of 64 KiB and of 1 MiB`, async () => {
    await exchange(MEBIBYTES * 2 ** 20, 1, [64 * 1024, 1024 * 1024]);
  });

  it(`50 connections of one link group carry ${KIBIBYTES_OF_MANY} KiB each way at once, around their rings`, async () => {
    await exchange(KIBIBYTES_OF_MANY * 2 ** 10, 50, [64 * 1024, 64 * 1024]);
  });

  it(`${CONNECTS} connects in a row leave nothing`, async () => {
    const server = new Peer('churner', { side, role: 'server', port: 0 });
    const { port } = await server.message('listening');
    const one = async () => {
      const socket = connect({ ...options, port: port as number, host: '127.0.0.1' } as never);
      await once(socket, 'connect');
      socket.write('ping');
      await once(socket, 'data');
      socket.end();
      socket.resume();
      await once(socket, 'close');
    };
    const held = async () => {
      server.send({ do: 'hold' });
      return (await server.message('held')).descriptors;
    };
    for (let i = 0; i < 20; i++) await one();
    const now = async () => {
      const all = [resourcesOf(process.pid), resourcesOf(server.pid)];
      return { regions: all.map(({ mr }) => mr), others: all.map(({ mr: _, ...rest }) => rest), descriptors: await held() };
    };
    const before = await now();
    // One link group at each end, or this shows nothing.
    expect(before.others.map(({ qp }) => qp)).toEqual([1, 1]);
    const memory = [process.pid, server.pid].map(residentBytes);
    for (let i = 0; i < CONNECTS; i++) await one();
    const after = await now();
    expect(after.others).toEqual(before.others);
    expect(after.descriptors).toBe(before.descriptors);
    // A send buffer more or less is kept for the next connection.
    after.regions.forEach((count, i) => {
      expect(count).toBeLessThanOrEqual((before.regions[i] as number) + 4);
    });
    // Registered memory is counted above; this is the rest, with what the garbage collector has not looked at yet.
    [process.pid, server.pid].forEach((pid, i) => {
      expect(residentBytes(pid) - (memory[i] as number)).toBeLessThan(64 * 2 ** 20);
    });
    server.send({ do: 'leave' });
    await server.exit;
  });
});

describe('a process that exits', () => {
  it('has sent what it wrote', async () => {
    const server = endpoint({ role: 'server', task: 'receive', seed: 5, port: 0 });
    const { port } = await server.message('listening');
    const client = endpoint({ role: 'client', task: 'sendAndExit', seed: 5, port: port as number, bytes: 100_000 });
    expect(await client.exit).toEqual({ code: 0, signal: null });
    expect(await server.message('closed')).toMatchObject({ received: 100_000, seen: ['end'], transport: 'smcr' });
  });
});

describe('a process that is killed', () => {
  it.each(['client', 'server'] as const)('is noticed by the other: the %s dies', async (victim) => {
    const server = endpoint({ role: 'server', task: victim === 'server' ? 'send' : 'receive', seed: 1, port: 0 });
    const { port } = await server.message('listening');
    const client = endpoint({ role: 'client', task: victim === 'server' ? 'receive' : 'send', seed: 1, port: port as number });
    await Promise.all([client.message('connected'), server.message('connected')]);
    expect([resourcesOf(client.pid).qp, resourcesOf(server.pid).qp]).toEqual([1, 1]);
    const [dying, other] = victim === 'client' ? [client, server] : [server, client];
    await new Promise((resolve) => setTimeout(resolve, 300));
    dying.kill('SIGKILL');
    const closed = await other.message('closed');
    expect(closed).toMatchObject({ transport: 'smcr' });
    expect((closed.seen as string[]).at(-1)).toBe('ECONNRESET');
    // Its link group is over, too.
    for (let i = 0; i < 100 && resourcesOf(other.pid).qp > 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(resourcesOf(other.pid)).toMatchObject({ qp: 0, mr: 0 });
    other.send({ do: 'leave' });
    expect((await other.exit).code).toBe(0);
  });
});
