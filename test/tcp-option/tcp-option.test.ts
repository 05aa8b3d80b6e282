// tcp-option.test.ts - the TCP option of SMC, set up for a cgroup of these tests on this machine: what is in SYN and SYN-ACK, and what
// both ends learn. With the kernel's own SMC: test/guest/tcp-option.test.ts.

import { describe, expect, it } from 'vitest';
import { NODES } from '../memory-order/children.js';
import type { Message, Peer } from '../support/peer.js';
import { skipFor } from '../surroundings/host.js';
import { noPlace, Place } from './place.js';
import type { Connect, Listen } from './teller.js';

const LOCAL = '127.0.0.1';

async function listen(peer: Peer, ask: boolean, host = LOCAL): Promise<Message & { port: number }> {
  peer.send({ do: 'listen', ask, host } satisfies Listen);
  return (await peer.message('listening')) as Message & { port: number };
}

/** One connection, with what both ends learned of it and what was in its SYN and SYN-ACK. */
async function connection(place: Place, client: Peer, server: Peer, port: number, ask: boolean, host = LOCAL) {
  client.send({ do: 'connect', ask, host, port } satisfies Connect);
  const connected = await client.message('connected');
  const accepted = await server.message('accepted');
  expect(accepted.from).toBe(connected.local);
  expect(connected.same).toBe(true);
  return { client: connected.answer, server: accepted.answer, ...(await place.handshake(connected.local as number, port)) };
}

async function ready(bpfMode?: '0700' | '0755'): Promise<Place> {
  const place = await Place.make(bpfMode);
  place.setUp();
  return place;
}

describe('the TCP option of SMC', () => {
  skipFor(noPlace());

  it.each([
    ['client and server', true, true, { client: 'agreed', server: 'agreed', syn: 1, synAck: 1 }],
    ['the client alone', true, false, { client: 'alone', server: 'none', syn: 1, synAck: 0 }],
    ['the server alone', false, true, { client: 'none', server: 'alone', syn: 0, synAck: 0 }],
    ['nobody', false, false, { client: 'none', server: 'none', syn: 0, synAck: 0 }],
  ])('is in SYN and SYN-ACK as %s asked, and in no other segment', async (_, clientAsks, serverAsks, expected) => {
    const place = await ready();
    const [client, server] = [await place.teller(), await place.teller()];
    for (const host of [LOCAL, '::1']) {
      const { port } = await listen(server, serverAsks, host);
      expect(await connection(place, client, server, port, clientAsks, host)).toEqual({ ...expected, others: 0 });
    }
  });

  it.for(NODES)('is there under $name', async ({ path, missing }, context) => {
    if (missing !== undefined) context.skip(missing);
    const place = await ready();
    const [client, server] = [await place.teller({ node: path }), await place.teller({ node: path })];
    const { port, asked, listening } = await listen(server, true);
    expect([asked, listening]).toEqual(['unseen', 'offered']);
    expect(await connection(place, client, server, port, true)).toMatchObject({ client: 'agreed', server: 'agreed' });
  });

  it('is of single sockets: two servers and 100 connections of one process, every other of which asked', async () => {
    const place = await ready();
    const peer = await place.teller();
    const [asking, plain] = [await listen(peer, true), await listen(peer, false)];
    expect([asking.asked, asking.listening]).toEqual(['unseen', 'offered']);
    expect([plain.asked, plain.listening]).toEqual(['none', 'none']);
    const wanted: [ask: boolean, port: number][] = [];
    for (let i = 0; i < 100; i++) wanted.push([i % 2 === 0, i % 3 === 0 ? plain.port : asking.port]);
    for (const [ask, port] of wanted) peer.send({ do: 'connect', ask, port, host: LOCAL } satisfies Connect);
    const seen = { agreed: 0, alone: 0, none: 0 };
    const accepted = new Map<unknown, unknown>();
    for (const _ of wanted) {
      const one = await peer.message('accepted');
      accepted.set(`${one.from} ${one.to}`, one.answer);
    }
    for (const _ of wanted) {
      const { local, remote, answer } = await peer.message('connected');
      seen[answer as keyof typeof seen]++;
      const { syn, synAck } = await place.handshake(local as number, remote as number);
      expect(synAck).toBe(answer === 'agreed' ? 1 : 0);
      expect(syn).toBe(answer === 'none' ? 0 : 1);
      if (answer === 'agreed') expect(accepted.get(`${local} ${remote}`)).toBe('agreed');
    }
    // 50 asked, 17 of them a server that did not.
    expect(seen).toEqual({ agreed: 33, alone: 17, none: 50 });
    expect([...accepted.values()].filter((answer) => answer === 'alone').length).toBe(33);
  });

  it('needs no privileges once it is set up', async () => {
    const place = await ready();
    const as = { unprivileged: true };
    const [client, server] = [await place.teller(as), await place.teller(as)];
    const { port } = await listen(server, true);
    expect(await connection(place, client, server, port, true)).toMatchObject({ client: 'agreed', server: 'agreed', syn: 1, synAck: 1 });
    expect(place.smcAs(as, 'setup', '--check')).toMatchObject({ code: 0, out: expect.stringContaining('works for this process') });
  });

  it('is only for the cgroup that was set up, and a socket of another one learns that', async () => {
    const place = await ready();
    const [inside, outside] = [await place.teller(), await place.teller({ outside: true })];
    const { port } = await listen(inside, true);
    expect(await connection(place, outside, inside, port, true)).toMatchObject({ client: 'unseen', server: 'alone', syn: 0 });
    expect((await listen(outside, true)).listening).toBe('unseen');
    expect(place.smcAs({ outside: true }, 'setup', '--check')).toMatchObject({ code: 1, out: expect.stringContaining('client unseen') });
  });

  it('is not promised under SYN cookies, which forget it', async () => {
    const place = await ready();
    expect(place.run({}, 'sysctl', '-qw', 'net.ipv4.tcp_syncookies=2').code).toBe(0);
    const [client, server] = [await place.teller(), await place.teller()];
    const { port } = await listen(server, true);
    expect(await connection(place, client, server, port, true)).toMatchObject({ client: 'alone', server: 'alone', syn: 1, synAck: 0 });
  });

  it('says what is wrong with a socket that cannot ask', async () => {
    const place = await ready();
    const peer = await place.teller();
    peer.send({ do: 'misuse' });
    expect(await peer.message('misused')).toMatchObject({
      ...{ listening: 'EINVAL', none: 'EBADF', file: 'ENOTSOCK', beyond: 'EBADF', unasked: 'none' },
    });
  });
});

describe('smc setup', () => {
  skipFor(noPlace());

  it.each([
    ['0700', '/run/smcjs/bpf'],
    ['0755', '/sys/fs/bpf/smcjs'],
  ] as const)('keeps the program where all users can look, with /sys/fs/bpf of mode %s in %s', async (mode, directory) => {
    const place = await ready(mode);
    const { code, out } = place.smcAs({ unprivileged: true }, 'setup', '--check');
    expect([code, out.split('\n')[0]]).toEqual([0, `set up in ${directory}`]);
    expect(place.smc('setup', '--remove').code).toBe(0);
    expect(place.run({}, 'ls', '-A', directory).code).not.toBe(0);
  });

  it('can be repeated, for several cgroups, and lists them', async () => {
    const place = await ready();
    expect(place.smc('setup', '--cgroup', place.cgroup)).toMatchObject({ code: 0, out: expect.stringContaining(place.cgroup) });
    const second = await Place.make();
    const { code, out } = place.smc('setup', '--cgroup', second.cgroup);
    expect(code).toBe(0);
    expect(out.match(/^ {2}cgroup /gm)?.length).toBe(2);
    expect(out).toContain(second.cgroup);
  });

  it('--remove undoes it: no socket gets the option, established connections go on', async () => {
    const place = await ready();
    const [client, server] = [await place.teller(), await place.teller()];
    const { port } = await listen(server, true);
    await connection(place, client, server, port, true);
    expect(place.smc('setup', '--remove')).toEqual({ code: 0, out: 'removed\n', err: '' });
    expect(await connection(place, client, server, port, true)).toMatchObject({ client: 'unseen', syn: 0, synAck: 0 });
    client.send({ do: 'again' });
    expect(await client.message('again')).toMatchObject({ same: [true, true] });
    client.send({ do: 'reopen' });
    expect(await client.message('reopened')).toMatchObject({ code: 'ERR_SMC_NOT_SET_UP' });
    expect(place.smc('setup', '--remove')).toEqual({ code: 0, out: 'nothing was set up\n', err: '' });
    place.setUp();
    client.send({ do: 'reopen' });
    expect(await client.message('reopened')).toMatchObject({ code: 'none' });
    const again = await listen(await place.teller(), true);
    client.send({ do: 'connect', ask: true, host: LOCAL, port: again.port } satisfies Connect);
    expect(await client.message('connected')).toMatchObject({ answer: 'agreed' });
  });

  it('--check says that nothing is set up', async () => {
    const place = await Place.make();
    const { code, out, err } = place.smc('setup', '--check');
    expect([code, out]).toEqual([1, 'not set up\n']);
    expect(err).toContain('ERR_SMC_NOT_SET_UP');
    expect(err).toContain('smc setup');
  });

  it.each([
    ['a cgroup that is none', {}, ['--cgroup', '/tmp'], 'ERR_SMC_NO_CGROUP'],
    ['a directory on no BPF file system', { env: { SMC_BPF_DIR: '/tmp/smcjs-nowhere' } }, [], 'ERR_SMC_NO_BPFFS'],
    ['a user without privileges', { unprivileged: true }, [], 'ERR_SMC_SETUP_PRIVILEGE'],
  ])('says what to do about %s', async (_, as, args, code) => {
    const place = await Place.make();
    const said = place.smcAs(as, 'setup', ...args);
    expect(said).toMatchObject({ code: 1, out: '' });
    expect(said.err).toMatch(new RegExp(`^${code}: .+\\n  what to do: .+\\n$`, 's'));
  });

  it('does not let a user without privileges undo it', async () => {
    const place = await ready();
    expect(place.smcAs({ unprivileged: true }, 'setup', '--remove').err).toContain('ERR_SMC_SETUP_PRIVILEGE');
    expect(place.smc('setup', '--check')).toMatchObject({ code: 0 });
  });

  it('explains itself', async () => {
    const place = await Place.make();
    for (const args of [[], ['setup', 'up'], ['setup', '--check', '--remove'], ['--what']]) {
      expect(place.smc(...args)).toMatchObject({ code: 2, err: expect.stringContaining('usage: smc setup') });
    }
    expect(place.smc('--help')).toMatchObject({ code: 0, out: expect.stringContaining('usage: smc setup') });
  });
});
