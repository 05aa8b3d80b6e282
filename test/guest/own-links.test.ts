// own-links.test.ts - both ends of a link group are ours, over two networks with real frames: one network fails in mid-transfer.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { addUeid } from './kernel-smc.js';
import { SmcrPeer } from './smcr/peer.js';
import type { Stream } from './smcr/stream.js';
import { FAILURES, KERNELS, makeNetworks, OURS, removeNetworks } from './two-networks.js';

const MiB = 1 << 20;
const BOUNDED = { timeout: 60_000, interval: 200 };

beforeAll(() => {
  addUeid('SMCJS-TEST-EID');
  makeNetworks();
});
afterAll(removeNetworks);

describe.each([1, 2])('two peers of ours with %i links', (maxLinks) => {
  let peers: [SmcrPeer, SmcrPeer];
  beforeEach(async () => {
    peers = [await SmcrPeer.open({ devices: OURS.devices, maxLinks }), await SmcrPeer.open({ devices: KERNELS.devices, maxLinks })];
  });
  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.close()));
  });

  const links = (): number[] =>
    peers.map(({ drivers }) => [...drivers].flatMap(({ group }) => group.links.filter(({ state }) => state === 'active')).length);

  async function connected(): Promise<[Stream, Stream]> {
    const [client, server] = peers;
    let onStream!: (stream: Promise<Stream | Error>) => void;
    const coming = new Promise<Stream | Error>((resolve) => (onStream = resolve));
    const listening = await server.listen((_port, stream) => onStream(stream), KERNELS.address);
    const mine = await client.connect(listening.port, { host: KERNELS.address, localAddress: OURS.address });
    const theirs = await coming;
    listening.server.close();
    if (theirs instanceof Error) throw theirs;
    await expect.poll(links, BOUNDED).toEqual([maxLinks, maxLinks]);
    return [mine, theirs];
  }

  it.each(Object.entries(FAILURES))('%s in the middle of a transfer', async (_name, { fail, mend }) => {
    const [mine, theirs] = await connected();
    const bytes = 8 * MiB;
    const ends = [mine.exchange(bytes, 1, 2), theirs.exchange(bytes, 2, 1)];
    for (const end of ends) end.catch(() => {});
    await mine.until(() => mine.bytesRead > MiB);
    fail();
    onTestFinished(mend);
    const codes = (await Promise.allSettled(ends)).map((end) =>
      end.status === 'rejected' ? (end.reason as { code?: string }).code : 'done',
    );
    // Over the other link nothing is lost, changed or repeated: exchange() looks at each byte.
    expect(codes).toEqual(maxLinks === 2 ? ['done', 'done'] : ['ECONNRESET', 'ECONNRESET']);
    for (const stream of [mine, theirs]) stream.close();
    await Promise.all([mine.removed, theirs.removed]);
  });
});
