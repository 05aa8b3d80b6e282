// namespaces.test.ts - network namespaces that share the runtime directory and even their addresses: every byte goes to the
// process that accepted the TCP connection, whatever is translated on the way.

import { describe, expect, it } from 'vitest';
import { until } from '../support/events.js';
import { commandMissing, NetworkNamespace, notRoot, skipFor } from './host.js';
import { accepted, client, dial, dialed, expectExact, reasonOf, serve, step, transports } from './stations.js';

const COUNT = 20;
const PORT = 7100;
const OTHER_PORT = 7200;
/** An address that both namespaces have. */
const TWIN = '10.77.0.9';
const A = '10.77.1.1';
const B = '10.77.1.2';

/** Two namespaces, joined by a veth pair. */
async function pair(): Promise<{ a: NetworkNamespace; b: NetworkNamespace }> {
  const [a, b] = [await NetworkNamespace.make(), await NetworkNamespace.make()];
  a.ip(`link add v0 type veth peer name v1 netns ${b.pid}`);
  // Sources do not meet by chance.
  for (const [space, device, address, sources] of [
    [a, 'v0', A, '20000 29999'],
    [b, 'v1', B, '30000 39999'],
  ] as const) {
    space.run('sysctl', '-qw', `net.ipv4.ip_local_port_range=${sources}`);
    space.ip(`address add ${address}/24 dev ${device}`);
    space.ip(`address add ${TWIN}/32 dev lo`);
    space.ip(`link set ${device} up`);
  }
  return { a, b };
}

/** Connections that a listener at PORT has not accepted yet. */
function backlog(space: NetworkNamespace): number {
  const line = space
    .read('/proc/net/tcp')
    .split('\n')
    .find((text) => / 00000000:1BBC 00000000:0000 0A /.test(text));
  return Number.parseInt(/ 0A [0-9A-F]{8}:([0-9A-F]{8})/.exec(line ?? '')?.[1] ?? '0', 16);
}

const NAT = [
  'add table ip n',
  'add chain ip n out { type nat hook output priority -100; }',
  'add chain ip n in { type nat hook input priority 100; }',
];

const everywhere = { port: PORT, host: '0.0.0.0' };

describe('two network namespaces with one runtime directory', () => {
  skipFor(notRoot() ?? commandMissing('ip', 'nft', 'sysctl', 'unshare', 'nsenter'));

  it('have equal addresses and ports without being mistaken for each other', async () => {
    const { a, b } = await pair();
    const inA = await serve('ours', { name: 'a', listen: everywhere, where: a.where });
    const inB = await serve('ours', { name: 'b', listen: everywhere, where: b.where });
    for (const [where, name, own] of [
      [a.where, 'a', inA],
      [b.where, 'b', inB],
    ] as const) {
      const all = await dial('ours', [step({ port: own.port, host: TWIN }, { count: COUNT })], where);
      expectExact(all, COUNT);
      expect([...new Set(all.map(({ server, transport }) => `${server} ${transport}`))]).toEqual([`${name} smcd`]);
    }
  });

  it('are connected over TCP without a wait, although both have marked the port', async () => {
    const { a, b } = await pair();
    await serve('ours', { name: 'a', listen: everywhere, where: a.where });
    const inB = await serve('ours', { name: 'b', listen: everywhere, where: b.where });
    const all = await dial('ours', [step({ port: PORT, host: B, discoveryWait: 60_000 }, { count: COUNT })], a.where);
    expectExact(all, COUNT);
    expect([...new Set(all.map(({ server, seenAddress, transport }) => `${server} ${seenAddress} ${transport}`))]).toEqual([`b ${A} tcp`]);
    expect((await accepted(inB.peer, COUNT)).map(({ clientPort }) => clientPort).sort()).toEqual(
      all.map(({ localPort }) => localPort).sort(),
    );
  });

  it('with DNAT from a marked port of one to the other: the bytes follow the connection, not the marker', async () => {
    const { a, b } = await pair();
    await serve('ours', { name: 'a', listen: everywhere, where: a.where });
    await serve('ours', { name: 'b', listen: everywhere, where: b.where });
    a.nft(
      ...NAT,
      `add rule ip n out ip daddr ${TWIN} tcp dport ${PORT} dnat to ${B}`,
      'add chain ip n post { type nat hook postrouting priority 100; }',
    );
    a.nft(`add rule ip n post ip daddr ${B} snat to ${A}`);
    const all = await dial('ours', [step({ port: PORT, host: TWIN, discoveryWait: 300 }, { count: COUNT })], a.where);
    expectExact(all, COUNT);
    expect([...new Set(all.map(({ server, transport }) => `${server} ${transport}`))]).toEqual(['b tcp']);
  });

  it('and DNAT from one marked port of a namespace to another of the same: nobody is given the ring of somebody else', async () => {
    const { a } = await pair();
    await serve('ours', { name: 'asked for', listen: everywhere, where: a.where });
    await serve('ours', { name: 'reached', listen: { port: OTHER_PORT, host: '0.0.0.0' }, where: a.where });
    a.nft(...NAT, `add rule ip n out ip daddr ${TWIN} tcp dport ${PORT} dnat to ${TWIN}:${OTHER_PORT}`);
    const redirected = step({ port: PORT, host: TWIN, discoveryWait: 300 }, { count: COUNT });
    const direct = step({ port: OTHER_PORT, host: TWIN, discoveryWait: 60_000 }, { count: COUNT });
    const [one, other] = [client('ours', [redirected], a.where), client('ours', [direct], a.where)];
    const [over, at] = [await dialed(one), await dialed(other)];
    expectExact([...over, ...at], 2 * COUNT);
    expect([...new Set(over.map(({ server, transport }) => `${server} ${transport}`))]).toEqual(['reached tcp']);
    expect([...new Set(at.map(({ server, transport }) => `${server} ${transport}`))]).toEqual(['reached smcd']);
  });

  it('and SNAT on the way in: connections from outside and from inside are what they are', async () => {
    const { a, b } = await pair();
    await serve('ours', { name: 'b', listen: everywhere, where: b.where });
    b.nft(...NAT, `add rule ip n in ip saddr ${A} tcp dport ${PORT} snat to ${B}`);
    const outside = client('ours', [step({ port: PORT, host: B, discoveryWait: 60_000 }, { count: COUNT })], a.where);
    const inside = client('ours', [step({ port: PORT, host: B, discoveryWait: 60_000 }, { count: COUNT })], b.where);
    const [over, at] = [await dialed(outside), await dialed(inside)];
    expectExact([...over, ...at], 2 * COUNT);
    expect([transports(over), transports(at)]).toEqual([['tcp'], ['smcd']]);
    expect([...new Set(over.map(({ seenAddress }) => seenAddress))]).toEqual([B]);
  });

  it('and SNAT that gives a stranger the very source a client of ours has: each is answered on its own connection', async () => {
    const { a, b } = await pair();
    const { peer } = await serve('ours', { name: 'b', listen: everywhere, where: b.where, options: { handshakeTimeout: 2_000 } });
    b.nft(...NAT, `add rule ip n in ip saddr ${A} tcp dport ${PORT} snat to ${B}`);
    // Two sources are left to the client inside, and the strangers have them first: the client's own is translated then.
    b.run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=40000 40001');
    peer.kill('SIGSTOP');
    const strangers = [40_000, 40_001].map((localPort) => step({ port: PORT, host: B, localPort }));
    const stranger = client('plain net', strangers, a.where);
    await stranger.message('connected');
    await stranger.message('connected');
    const inside = client('ours', [step({ port: PORT, host: B, discoveryWait: 60_000 })], b.where);
    // Its connection waits in the backlog behind the strangers' when the server goes on.
    await until(() => backlog(b) >= 3);
    peer.kill('SIGCONT');
    const [over, at] = [await dialed(stranger), await dialed(inside)];
    expectExact([...over, ...at], 3);
    expect([at[0]?.transport, reasonOf(at[0])]).toEqual(['tcp', 'translated']);
  });
});
