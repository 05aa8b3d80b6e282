// users.test.ts - other users on the host: they share the port and the runtime directory, never memory.

import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { asUser, commandMissing, notRoot, sharedDirectory, skipFor } from './host.js';
import { accepted, dial, expectExact, reasonOf, serve, step, transports } from './stations.js';

const NOBODY = 65534;
const OTHER = 65533;
const ROOT = 0;
const HOST = '127.0.0.1';
const COUNT = 20;

describe('in a runtime directory for all users', () => {
  skipFor(notRoot() ?? commandMissing('setpriv'));

  for (const [name, server, client] of [
    ['root', ROOT, NOBODY],
    ['an ordinary user', NOBODY, OTHER],
  ] as const) {
    it(`a client of another user finds no marker of ${name} and waits for nothing`, async () => {
      const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '60000' };
      const { peer, port } = await serve('ours', { where: asUser(server, env) });
      const all = await dial('ours', [step({ port, host: HOST }, { count: COUNT })], asUser(client, env));
      expectExact(all, COUNT);
      expect(transports(all)).toEqual(['tcp']);
      expect(reasonOf(all[0])).toBe('no-marker');
      expect(reasonOf((await accepted(peer, COUNT))[0])).toBe('peer-not-smc');
    });
  }

  it('two processes of one ordinary user meet over shared memory', async () => {
    const env = { SMC_RUNTIME_DIR: sharedDirectory() };
    const { port } = await serve('ours', { where: asUser(NOBODY, env) });
    const all = await dial('ours', [step({ port, host: HOST }, { count: COUNT })], asUser(NOBODY, env));
    expectExact(all, COUNT);
    expect(transports(all)).toEqual(['smcd']);
  });

  it('root finds no marker of another user, and waits for nothing', async () => {
    const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '300' };
    const { peer, port } = await serve('ours', { where: asUser(NOBODY, env) });
    const to = { port, host: HOST };
    const all = await dial('ours', [step(to), step({ ...to, discoveryWait: 60_000 }, { count: COUNT })], asUser(ROOT, env));
    expectExact(all, 1 + COUNT);
    expect(transports(all)).toEqual(['tcp']);
    expect(all.filter((each) => each.dial === 0).map((each) => reasonOf(each))).toEqual(['no-marker']);
    expect(reasonOf((await accepted(peer, 1 + COUNT))[0])).toBe('peer-not-smc');
  });

  it('a client that believes the marker of its own user gets no ring of the server of another', async () => {
    const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '300' };
    // The marker of the port is the first one's, and root may hold a byte of it, too.
    const own = await serve('ours', { name: 'own', where: asUser(NOBODY, env) });
    const root = await serve('ours', { name: 'root', listen: { host: '127.0.0.2', port: own.port }, where: asUser(ROOT, env) });
    const all = await dial(
      'ours',
      [step({ port: own.port, host: '127.0.0.2' }, { count: COUNT }), step({ port: own.port, host: HOST }, { count: COUNT })],
      asUser(NOBODY, env),
    );
    expectExact(all, 2 * COUNT);
    expect([...new Set(all.map(({ server, transport }) => `${server} ${transport}`))].sort()).toEqual(['own smcd', 'root tcp']);
    expect(new Set((await accepted(root.peer, COUNT)).map((each) => reasonOf(each)))).toEqual(new Set(['peer-not-smc']));
  });

  describe('with peerUsers', () => {
    const [SERVER, CLIENT, THIRD] = [65_531, 65_532, 65_533] as const;

    it('two users who allow each other meet over shared memory, and a third is left out', async () => {
      const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '60000' };
      const { peer, port } = await serve('ours', { where: asUser(SERVER, { ...env, SMC_PEER_USERS: `${CLIENT}` }) });
      const to = step({ port, host: HOST }, { count: COUNT });
      const met = await dial('ours', [to, to], asUser(CLIENT, { ...env, SMC_PEER_USERS: `${THIRD}, ${SERVER}` }));
      expectExact(met, 2 * COUNT);
      expect(transports(met)).toEqual(['smcd']);
      expect([...new Set((await accepted(peer, 2 * COUNT)).map((each) => each.transport))]).toEqual(['smcd']);
      const third = await dial('ours', [to], asUser(THIRD, env));
      expectExact(third, COUNT);
      expect([transports(third), reasonOf(third[0])]).toEqual([['tcp'], 'no-marker']);
    });

    it('a client whom the server does not allow is told so, and waits for nothing', async () => {
      const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '60000' };
      // The marker is there for the third one to see.
      const { peer, port } = await serve('ours', { where: asUser(SERVER, { ...env, SMC_PEER_USERS: `${THIRD}` }) });
      const all = await dial(
        'ours',
        [step({ port, host: HOST }, { count: COUNT })],
        asUser(CLIENT, { ...env, SMC_PEER_USERS: `${SERVER}` }),
      );
      expectExact(all, COUNT);
      expect(transports(all)).toEqual(['tcp']);
      for (const each of [...all, ...(await accepted(peer, COUNT))]) expect(reasonOf(each)).toBe('foreign-user');
    });

    it('a client that does not allow the server takes no notice of it', async () => {
      const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '60000' };
      const { port } = await serve('ours', { where: asUser(SERVER, { ...env, SMC_PEER_USERS: `${CLIENT}` }) });
      const all = await dial('ours', [step({ port, host: HOST }, { count: COUNT })], asUser(CLIENT, env));
      expectExact(all, COUNT);
      expect([transports(all), reasonOf(all[0])]).toEqual([['tcp'], 'no-marker']);
    });

    it('a server that allows nobody is not seen by who allows it', async () => {
      const env = { SMC_RUNTIME_DIR: sharedDirectory(), SMC_DISCOVERY_WAIT: '60000' };
      const { port } = await serve('ours', { where: asUser(SERVER, env) });
      const all = await dial(
        'ours',
        [step({ port, host: HOST }, { count: COUNT })],
        asUser(CLIENT, { ...env, SMC_PEER_USERS: `${SERVER}` }),
      );
      expectExact(all, COUNT);
      expect([transports(all), reasonOf(all[0])]).toEqual([['tcp'], 'no-marker']);
    });
  });

  it('a user may listen with shared memory on a port that another user has listened on before', async () => {
    const directory = sharedDirectory();
    const env = { SMC_RUNTIME_DIR: directory };
    const before = await serve('ours', { where: asUser(OTHER, env) });
    before.peer.send({});
    await before.peer.message('stopped');
    await before.peer.exit;
    const { port } = await serve('ours', { listen: { port: before.port, host: HOST }, where: asUser(NOBODY, env) });
    const all = await dial('ours', [step({ port, host: HOST })], asUser(NOBODY, env));
    expectExact(all, 1);
    expect(
      all.map((each) => `${each.transport} ${reasonOf(each)}`),
      readdirSync(directory).join(' '),
    ).toEqual(['smcd undefined']);
  });
});
