// sockets.test.ts - connect() and createServer() over SMC-R, on simulated devices: both ends, from the Proposal to the last CDC message.

import { once } from 'node:events';
import net from 'node:net';
import { connect, type Socket } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { payload } from '../../../test/support/random.js';
import { collect, INLINE, listen, LocalRdma, pair, until } from './simulated/sockets.js';

const rdma = new LocalRdma();

describe('a connection', () => {
  it('runs over SMC-R and echoes', async () => {
    const [client, accepted] = await pair();
    expect([client.transport, accepted.transport]).toEqual(['smcr', 'smcr']);
    accepted.pipe(accepted);
    client.end('hello');
    expect((await collect(client)).toString()).toBe('hello');
  });

  it('moves megabytes both ways at once, bit-identical', async () => {
    const [client, accepted] = await pair({ client: { ringSize: 65536 }, server: { ringSize: 16384 } });
    const there = payload(1, 3_000_000);
    const back = payload(2, 3_000_000);
    client.end(there);
    accepted.end(back);
    const [atServer, atClient] = await Promise.all([collect(accepted), collect(client)]);
    expect(atServer.equals(there)).toBe(true);
    expect(atClient.equals(back)).toBe(true);
    expect(client.stats()).toMatchObject({ transport: 'smcr', ringSize: { local: 65536, peer: 16384 } });
  });

  it('leaves nothing behind but its idle link group', async () => {
    const at = await listen();
    const use = async () => {
      const [client, accepted] = await pair({}, at);
      accepted.resume();
      client.end('bye');
      await Promise.all([collect(client), new Promise((resolve) => accepted.once('close', resolve))]);
    };
    for (let i = 0; i < 5; i++) await use();
    const before = rdma.context.memory.registered;
    for (let i = 0; i < 40; i++) await use();
    // A send buffer more or less at each end is kept for the next connection.
    await until(() => rdma.context.memory.registered <= before + 4);
    expect(rdma.context.pairs.size).toBe(2);
  });

  it('shares one link group with others that were made at the same time', async () => {
    const at = await listen();
    const pairs = await Promise.all(Array.from({ length: 30 }, () => pair({}, at)));
    expect(new Set(pairs.flat().map(({ transport }) => transport))).toEqual(new Set(['smcr']));
    expect(rdma.context.pairs.size).toBe(2);
  });

  it('makes another link group when one has no room', async () => {
    const at = await listen({ ringSize: 16384 });
    const pairs = await Promise.all(Array.from({ length: 300 }, () => pair({ client: { ringSize: 16384 } }, at)));
    expect(new Set(pairs.flat().map(({ transport }) => transport))).toEqual(new Set(['smcr']));
    expect(rdma.context.pairs.size).toBe(4);
    const [client, accepted] = pairs[299] as [Socket, Socket];
    accepted.pipe(accepted);
    client.end('the last');
    expect((await collect(client)).toString()).toBe('the last');
  });

  it('takes bytes that RDMA brings before TCP brings the Confirm', async () => {
    const at = await listen();
    await pair({}, at);
    // TCP of the next connection goes through here, and the client's second message is held.
    let release = (): void => {};
    const proxy = net.createServer((from) => {
      const to = net.connect(at.port, '127.0.0.1');
      to.pipe(from);
      from.once('data', (proposal) => {
        to.write(proposal);
        from.once('data', (confirm) => {
          from.pause();
          release = () => {
            to.write(confirm);
            from.pipe(to);
          };
        });
      });
      for (const socket of [from, to]) socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    const accepting = once(at.server, 'connection') as Promise<[Socket]>;
    const client = connect({ ...INLINE, port: (proxy.address() as net.AddressInfo).port, host: '127.0.0.1' } as never);
    onTestFinished(() => void client.destroy());
    await once(client, 'connect');
    expect(client.transport).toBe('smcr');
    client.write('one ');
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.end('two');
    await new Promise((resolve) => setTimeout(resolve, 50));
    release();
    const [accepted] = await accepting;
    expect((await collect(accepted)).toString()).toBe('one two');
  });
});
