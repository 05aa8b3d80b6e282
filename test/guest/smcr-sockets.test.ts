// smcr-sockets.test.ts - connect() and createServer() over SMC-R on a real (software) device, both ends in this process. That RDMA
// carried it is read from the device's own counters.

import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { connect, createServer, probe, type Socket, type SmcOptions } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acceptedOf, everythingOf as collect } from '../support/accepted.js';
import { ConfirmEater } from '../support/confirm-eater.js';
import { payload } from '../support/random.js';
import { ADDRESS } from './place.js';
import { packetsSent, resourcesOf } from './rdma.js';

const SMCR = { transports: ['smcr'], discovery: 'inline', fallback: 'error', handshakeTimeout: 60_000 } as const satisfies SmcOptions;

async function listen(options: SmcOptions & net.ServerOpts = {}): Promise<{ server: net.Server; port: number }> {
  const server = createServer({ ...SMCR, ...options });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

async function pair(options: SmcOptions & net.ServerOpts = {}, at?: Awaited<ReturnType<typeof listen>>): Promise<[Socket, Socket]> {
  const { server, port } = at ?? (await listen(options));
  server.setMaxListeners(0);
  const { pauseOnConnect: _, ...own } = options;
  const client = connect({ ...SMCR, ...own, port, host: ADDRESS } as never);
  const accepting = acceptedOf(server, client);
  onTestFinished(() => void client.destroy());
  await new Promise<void>((resolve, reject) => client.once('connect', resolve).once('error', reject));
  client.removeAllListeners('error');
  const accepted = await accepting;
  onTestFinished(() => void accepted.destroy());
  return [client, accepted];
}

const errorOf = (socket: net.Socket): Promise<NodeJS.ErrnoException> => new Promise((resolve) => socket.once('error', resolve));

describe('a connection over rxe0', () => {
  it('can be had', () => {
    expect(probe().usable).toContain('smcr');
  });

  it('echoes, by RDMA', async () => {
    const before = packetsSent();
    const [client, accepted] = await pair();
    expect([client.transport, accepted.transport]).toEqual(['smcr', 'smcr']);
    accepted.pipe(accepted);
    client.end(payload(1, 100_000));
    expect((await collect(client)).equals(payload(1, 100_000))).toBe(true);
    // There and back at an MTU of 4096 at most.
    expect(packetsSent() - before).toBeGreaterThan((2 * 100_000) / 4096);
    const { rdmaWrites, notifications } = client.stats();
    expect(rdmaWrites).toBeGreaterThan(0);
    expect(notifications).toBeGreaterThan(0);
  });

  it('plays ping-pong from 64 B to 64 KB', async () => {
    const [client, accepted] = await pair();
    accepted.on('data', (chunk) => accepted.write(chunk));
    for (const size of [64, 1024, 16_384, 65_536]) {
      const bytes = payload(size, size);
      for (let round = 0; round < 20; round++) {
        const chunks: Buffer[] = [];
        let received = 0;
        const back = new Promise<void>((resolve) => {
          const take = (chunk: Buffer) => {
            chunks.push(chunk);
            received += chunk.length;
            if (received < size) return;
            client.off('data', take);
            resolve();
          };
          client.on('data', take);
        });
        client.write(bytes);
        await back;
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
      }
    }
    client.destroy();
  });

  it('plays it with busy polling, which takes the wake-ups away, and with none', async () => {
    const ROUNDS = 50;
    const wakeUps: number[] = [];
    // Long enough for a round trip on emulated processors, both ends of which are in this process.
    for (const busyPoll of ['off', 1_000_000] as const) {
      const [client, accepted] = await pair({ busyPoll });
      accepted.pipe(accepted);
      const before = client.stats().doorbells as number;
      for (let round = 0; round < ROUNDS; round++) {
        client.write('ping');
        await once(client, 'data');
      }
      wakeUps.push((client.stats().doorbells as number) - before);
      client.destroy();
    }
    const [asleep, polling] = wakeUps as [number, number];
    console.log(`${ROUNDS} round trips: ${asleep} wake-ups without busy polling, ${polling} with it`);
    expect(asleep).toBeGreaterThan(ROUNDS / 2);
    expect(polling).toBeLessThan(asleep / 2);
  });

  it('ends by halves', async () => {
    const [client, accepted] = await pair({ allowHalfOpen: true });
    client.end('question');
    expect((await collect(accepted)).toString()).toBe('question');
    accepted.end('answer');
    expect((await collect(client)).toString()).toBe('answer');
  });

  it('is reset by an end with unread bytes, and by resetAndDestroy', async () => {
    for (const abort of ['destroy', 'resetAndDestroy'] as const) {
      const [client, accepted] = await pair({ pauseOnConnect: true });
      client.write('never read');
      await new Promise((resolve) => setTimeout(resolve, 100));
      const error = errorOf(client);
      client.resume();
      accepted[abort]();
      expect((await error).code).toBe('ECONNRESET');
    }
  });

  it('whose Confirm was lost is reset at the client, and no other one', async () => {
    const at = await listen();
    const eater = await ConfirmEater.before(at.port, ADDRESS);
    const [first, accepted] = await pair({}, at);
    accepted.pipe(accepted);
    eater.eats = true;
    const client = connect({ ...SMCR, port: eater.port, host: ADDRESS } as never);
    const error = errorOf(client);
    await once(client, 'connect');
    expect(client.transport).toBe('smcr');
    client.resume();
    // TEST LINK is answered by the stall guard, which knows of no connections; what the loop knows follows.
    expect((await error).code).toBe('ECONNRESET');
    expect(eater.eaten).toBe(1);
    first.end('goes on');
    expect((await collect(first)).toString()).toBe('goes on');
  });

  it('is read and written in place', async () => {
    const [client, accepted] = await pair();
    const view = client.ring?.reserve(1000) as Uint8Array;
    view.fill(7);
    client.ring?.commit(1000);
    await accepted.ring?.readable();
    const got = accepted.ring?.peek() as Uint8Array;
    expect(Buffer.from(got).equals(Buffer.alloc(1000, 7))).toBe(true);
    accepted.ring?.release(1000);
    client.destroy();
  });

  it('shares a link group with fifty others', async () => {
    const at = await listen();
    const pairs = await Promise.all(Array.from({ length: 50 }, () => pair({}, at)));
    expect(new Set(pairs.flat().map(({ transport }) => transport))).toEqual(new Set(['smcr']));
    // One group as client, one as server, a queue pair each.
    expect(resourcesOf(process.pid).qp).toBe(2);
    await Promise.all(
      pairs.map(async ([client, accepted], i) => {
        accepted.pipe(accepted);
        client.end(payload(i, 50_000));
        expect((await collect(client)).equals(payload(i, 50_000))).toBe(true);
      }),
    );
  });
});

describe('where SMC-R cannot be had', () => {
  it('a connection is TCP on the same connection, with the reason at both ends', async () => {
    const { server, port } = await listen({ ueids: ['OTHER'], fallback: 'tcp', transports: ['smcr', 'tcp'] });
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const client = connect({ ...SMCR, transports: ['smcr', 'tcp'], fallback: 'tcp', port, host: ADDRESS } as never);
    await once(client, 'connect');
    const [accepted] = await accepting;
    expect([client.transport, accepted.transport]).toEqual(['tcp', 'tcp']);
    expect(client.declines.find(({ transport }) => transport === 'smcr')).toMatchObject({
      side: 'peer',
      reason: 'no-ueid',
      code: 0x03030008,
    });
    expect(accepted.declines.find(({ transport }) => transport === 'smcr')).toMatchObject({ side: 'local', reason: 'no-ueid' });
    accepted.pipe(accepted);
    client.end('over TCP');
    expect((await collect(client)).toString()).toBe('over TCP');
  });

  it('a plain client of the same server is served', async () => {
    const { server, port } = await listen({ fallback: 'tcp', transports: ['smcr', 'tcp'] });
    server.on('connection', (socket) => socket.pipe(socket));
    const client = net.connect(port, ADDRESS);
    client.end('GET /');
    expect((await collect(client)).toString()).toBe('GET /');
  });

  it('an address without a GID is one of the reasons', async () => {
    const { server, port } = await listen({ fallback: 'tcp', transports: ['smcr', 'tcp'] });
    server.close();
    const other = createServer({ ...SMCR, fallback: 'tcp', transports: ['smcr', 'tcp'] }, (socket) => void socket.pipe(socket));
    onTestFinished(() => void other.close());
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.5', resolve));
    const client = connect({ ...SMCR, transports: ['smcr', 'tcp'], fallback: 'tcp', port, host: '127.0.0.5' } as never);
    await once(client, 'connect');
    expect(client.transport).toBe('tcp');
    expect(client.declines.find(({ transport }) => transport === 'smcr')).toMatchObject({ reason: 'no-gid' });
    client.end('x');
    expect((await collect(client)).toString()).toBe('x');
  });
});
