// families.test.ts - listeners at every kind of address and clients that reach them by every kind: shared memory wherever
// TCP would connect, an error wherever it would not.

import { existsSync } from 'node:fs';
import type { ListenOptions } from 'node:net';
import { describe, expect, it } from 'vitest';
import { skipFor } from './host.js';
import { dial, expectExact, serve, step, transports } from './stations.js';

const noIpv6 = existsSync('/proc/net/if_inet6') ? undefined : 'there is no IPv6 here';

const MAPPED = '::ffff:127.0.0.1';
const V4 = ['127.0.0.1', MAPPED];
const ALL = ['127.0.0.1', '127.0.0.2', '::1', MAPPED];

/** Where a server listens, and where TCP reaches it. */
const LISTENERS: readonly { name: string; listen: ListenOptions; reached: readonly string[] }[] = [
  { name: 'no address', listen: {}, reached: ALL },
  { name: '::', listen: { host: '::' }, reached: ALL },
  { name: ':: for IPv6 only', listen: { host: '::', ipv6Only: true }, reached: ['::1'] },
  { name: '0.0.0.0', listen: { host: '0.0.0.0' }, reached: ['127.0.0.1', '127.0.0.2', MAPPED] },
  { name: '127.0.0.1', listen: { host: '127.0.0.1' }, reached: V4 },
  { name: '127.0.0.2', listen: { host: '127.0.0.2' }, reached: ['127.0.0.2'] },
  { name: '::1', listen: { host: '::1' }, reached: ['::1'] },
  { name: MAPPED, listen: { host: MAPPED }, reached: V4 },
];

describe('a server of ours that listens on', () => {
  skipFor(noIpv6);

  for (const { name, listen, reached } of LISTENERS) {
    it(`${name} is met over shared memory by every address that reaches it`, async () => {
      const { port } = await serve('ours', { listen });
      const all = await dial(
        'ours',
        reached.map((host) => step({ port, host }, { count: 2 })),
      );
      expectExact(all, 2 * reached.length);
      expect(transports(all)).toEqual(['smcd']);
    });

    it(`${name} refuses what TCP would refuse`, async () => {
      const { port } = await serve('ours', { listen });
      for (const host of ALL.filter((address) => !reached.includes(address))) {
        const [refused] = await dial('ours', [step({ port, host })]);
        expect(refused).toMatchObject({ failure: 'ECONNREFUSED', exact: false });
      }
    });

    it(`${name} is met by a plain client over TCP`, async () => {
      const { port } = await serve('ours', { listen });
      const all = await dial(
        'plain net',
        reached.map((host) => step({ port, host })),
      );
      expectExact(all, reached.length);
    });
  }

  it('one address is not mistaken for a plain server at another address of the same port', async () => {
    const ours = await serve('ours', { name: 'ours', listen: { host: '127.0.0.1' } });
    await serve('plain net', { name: 'plain', listen: { host: '127.0.0.2', port: ours.port } });
    await serve('plain net', { name: 'plain six', listen: { host: '::1', port: ours.port } });
    const to = { port: ours.port, discoveryWait: 60_000 };
    const all = await dial(
      'ours',
      ['127.0.0.2', '::1', '127.0.0.1'].map((host) => step({ ...to, host })),
    );
    expectExact(all, 3);
    expect(all.map(({ remoteAddress, transport }) => `${remoteAddress} ${transport}`).sort()).toEqual([
      '127.0.0.1 smcd',
      '127.0.0.2 tcp',
      '::1 tcp',
    ]);
  });
});

describe('localhost', () => {
  skipFor(noIpv6);

  const families: readonly { name: string; listen: ListenOptions }[] = [
    { name: 'localhost', listen: { host: 'localhost' } },
    { name: '127.0.0.1 alone', listen: { host: '127.0.0.1' } },
    { name: '::', listen: { host: '::' } },
  ];

  for (const autoSelectFamily of [true, false]) {
    for (const { name, listen } of families) {
      it(`leads to a server on ${name}, autoSelectFamily ${autoSelectFamily}`, async (context) => {
        const { port } = await serve('ours', { listen });
        const all = await dial('ours', [
          step({ port, host: 'localhost', autoSelectFamily, family: autoSelectFamily ? 0 : 4 }, { count: 10 }),
        ]);
        const refused = name === 'localhost' && all.some(({ failure }) => failure === 'ECONNREFUSED');
        context.skip(refused, 'localhost is IPv6 first here, and this client was told to use IPv4');
        expectExact(all, 10);
        expect(transports(all)).toEqual(['smcd']);
      });
    }
  }

  it('with ours at one family and a plain server at the other is whichever the connection reached', async () => {
    const six = await serve('ours', { name: 'six', listen: { host: '::1' } });
    await serve('plain net', { name: 'four', listen: { host: '127.0.0.1', port: six.port } });
    const to = { port: six.port, host: 'localhost', autoSelectFamily: true, discoveryWait: 60_000 };
    const all = await dial('ours', [step(to, { count: 10 })]);
    expectExact(all, 10);
    expect(all.filter(({ server, transport }) => transport !== (server === 'six' ? 'smcd' : 'tcp'))).toEqual([]);
  });
});
