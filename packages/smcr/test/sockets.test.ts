// sockets.test.ts - connect() and createServer() over SMC-R, on simulated devices: both ends, from the Proposal to the last CDC message.

import { expect, it, describe } from 'vitest';
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
    await use();
    await use();
    const before = rdma.context.memory.registered;
    for (let i = 0; i < 20; i++) await use();
    await until(() => rdma.context.memory.registered <= before);
    expect(rdma.context.pairs.size).toBe(2);
  });

  it('shares one link group with others that were made at the same time', async () => {
    const at = await listen();
    const pairs = await Promise.all(Array.from({ length: 30 }, () => pair({}, at)));
    expect(new Set(pairs.flat().map(({ transport }) => transport))).toEqual(new Set(['smcr']));
    expect(rdma.context.pairs.size).toBe(2);
    void INLINE;
  });
});
