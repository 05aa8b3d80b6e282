// own-links.test.ts - both ends are sockets of ours, over two networks with real frames: one network fails in mid-transfer.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from '@smcjs/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connected, prepare, SMCR } from './smc-pair.js';
import { SmcStream } from './smc-stream.js';
import { FAILURES, KERNELS, makeNetworks, NETWORKS, OURS, packetsOver, removeNetworks } from './two-networks.js';

const MiB = 1 << 20;
const BOUNDED = { timeout: 60_000, interval: 200 };

beforeAll(() => {
  prepare();
  makeNetworks();
});
afterAll(removeNetworks);

describe.each([2, 1])('two sockets of ours with %i links', (links) => {
  async function pair(): Promise<[SmcStream, SmcStream]> {
    const [mine, theirs] = [OURS, KERNELS].map(({ devices }) => ({ ...SMCR, rdmaDevices: devices.slice(0, links) }));
    const server = createServer({ ...theirs, allowHalfOpen: true });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, KERNELS.address, resolve));
    const { port } = server.address() as AddressInfo;
    const coming = once(server, 'connection') as Promise<[Socket]>;
    const where = { port, host: KERNELS.address, localAddress: OURS.address };
    const client = await connected(connect({ ...mine, ...where, allowHalfOpen: true } as never));
    return [client, new SmcStream((await coming)[0])];
  }

  it.each(Object.values(FAILURES).map((failure) => [failure.name, failure] as const))(
    '%s in the middle of a transfer',
    async (_name, failure) => {
      const ends = await pair();
      const [mine, theirs] = ends;
      expect(ends.map(({ socket }) => socket.transport)).toEqual(['smcr', 'smcr']);
      // Those of the link group, which lost one in the test before.
      await expect.poll(() => ends.map(({ socket }) => socket.stats().links), BOUNDED).toEqual([links, links]);
      const sent = packetsOver();
      const grown = () => packetsOver().map((packets, i) => packets - (sent[i] as number)) as [number, number];
      const transfers = [mine.exchange(8 * MiB, 1, 2), theirs.exchange(8 * MiB, 2, 1)];
      for (const transfer of transfers) transfer.catch(() => {});
      await mine.until(() => mine.bytesRead > MiB);
      // The network that fails is the one that carries the connection.
      const carrier = grown()[0] > grown()[1] ? 0 : 1;
      const [network, spare] = [NETWORKS[carrier], (1 - carrier) as 0 | 1];
      expect(grown()[carrier]).toBeGreaterThan(MiB / 4096);
      expect(grown()[spare]).toBeLessThan(MiB / 4096 / 4);
      failure.fail(network);
      onTestFinished(() => failure.mend(network));
      const codes = (await Promise.allSettled(transfers)).map((end) =>
        end.status === 'rejected' ? (end.reason as { code?: string }).code : 'done',
      );
      // Over the other link nothing is lost, changed or repeated: exchange() looks at each byte.
      expect(codes).toEqual(links === 2 ? ['done', 'done'] : ['ECONNRESET', 'ECONNRESET']);
      if (links === 2) {
        // The link over it is lost at both ends, and the other one has carried the rest.
        expect(ends.map(({ socket }) => socket.stats().links)).toEqual([1, 1]);
        expect(grown()[spare]).toBeGreaterThan((4 * MiB) / 4096);
      }
      for (const stream of ends) stream.close();
      await Promise.all([mine.closed, theirs.closed]);
    },
  );
});
