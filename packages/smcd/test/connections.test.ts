// connections.test.ts - connections between two processes: what they cost, and what is left of them when one is killed.

import { connect, type Socket, type SmcOptions } from '@smcjs/core';
import { expect, it } from 'vitest';
import { smcdEnvironment } from '../dist/smcd-environment.js';
import { type Child, child, descriptors, describeNative, mappings, temporaryDirectory, turns, until } from './support.js';

process.env.SMC_RUNTIME_DIR = temporaryDirectory();

interface Holdings {
  readonly descriptors: string[];
  readonly mappings: number;
  readonly sockets: number;
}

async function server(options: SmcOptions = {}): Promise<[peer: Child, port: number]> {
  const peer = child('connections-peer', { options });
  return [peer, (await peer.next()).port as number];
}

async function dial(port: number, options: object = {}): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', transports: ['smcd'], fallback: 'error', discoveryWait: 60_000, ...options } as never);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', () => {});
  expect(socket.transport).toBe('smcd');
  return socket;
}

async function holdings(peer: Child): Promise<Holdings> {
  peer.say({ what: 'holdings' });
  return (await peer.next()) as unknown as Holdings;
}

/** What the other process holds once it has seen so many connections. */
async function settled(peer: Child, sockets: number): Promise<Holdings> {
  let held = await holdings(peer);
  while (held.sockets !== sockets) held = await holdings(peer);
  return held;
}

async function close(...sockets: Socket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())));
}

async function kill(peer: Child): Promise<void> {
  peer.process.kill('SIGKILL');
  await peer.exit;
}

const withSockets = (held: readonly string[], count: number) => [...held, ...Array<string>(count).fill('socket:[N]')].sort();

describeNative('connections of two loops', () => {
  it('need one descriptor on each side after the first one: that of TCP', async () => {
    const [peer, port] = await server();
    const sockets = [await dial(port)];
    const theirs = await settled(peer, 1);
    const ours = descriptors();
    for (let i = 0; i < 5; i++) sockets.push(await dial(port));
    expect((await settled(peer, 6)).descriptors).toEqual(withSockets(theirs.descriptors, 5));
    expect(descriptors()).toEqual(withSockets(ours, 5));
    await close(...sockets);
  });

  it('use their memory again: 200 after each other take as much as one', async () => {
    const [peer, port] = await server();
    await close(await dial(port));
    await settled(peer, 0);
    await close(await dial(port));
    const theirs = await settled(peer, 0);
    const ours = { descriptors: descriptors(), mappings: mappings().length };
    for (let i = 0; i < 200; i++) {
      await close(await dial(port));
      await settled(peer, 0);
    }
    expect(await settled(peer, 0)).toEqual(theirs);
    expect({ descriptors: descriptors(), mappings: mappings().length }).toEqual(ours);
  });

  it('hold no descriptor of memory, 200 at a time', async () => {
    const [peer, port] = await server({ ringSize: 16_384 });
    const first = await dial(port, { ringSize: 16_384 });
    const theirs = await settled(peer, 1);
    const ours = descriptors();
    const sockets = await Promise.all(Array.from({ length: 200 }, () => dial(port, { ringSize: 16_384 })));
    expect((await settled(peer, 201)).descriptors).toEqual(withSockets(theirs.descriptors, 200));
    expect(descriptors()).toEqual(withSockets(ours, 200));
    await close(...sockets, first);
    expect((await settled(peer, 0)).descriptors).toEqual(theirs.descriptors.toSpliced(theirs.descriptors.indexOf('socket:[N]'), 1));
  });
});

describeNative('busyPoll', () => {
  it("'off' ends the polling that follows a handshake", async () => {
    const environment = smcdEnvironment();
    if ('reason' in environment) throw new Error(environment.detail);
    const [peer, port] = await server({ busyPoll: 'off' });
    for (let i = 0; i < 20; i++) {
      const socket = await dial(port);
      await turns(1);
      socket.setBusyPoll('off');
      await turns(1);
      const hot = new Promise<boolean>((resolve) => socket.once('data', () => resolve(environment.hub.hot)));
      await settled(peer, 1);
      peer.say({ what: 'send', bytes: 100 });
      expect(await hot).toBe(false);
      await close(socket);
      await peer.next();
      await settled(peer, 0);
    }
  });
});

describeNative('when the other process is killed', () => {
  it('its link group ends, and nothing of it stays mapped or open', async () => {
    const before = { descriptors: descriptors(), mappings: mappings().length };
    const [peer, port] = await server();
    const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(port)));
    expect(mappings().length).toBeGreaterThan(before.mappings);
    const ends = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).resume())));
    await kill(peer);
    await ends;
    await until(() => mappings().length === before.mappings);
    // What a loop that has been a peer keeps for all: its directory, its lock, its listener; the child's pipes are gone.
    const kept = descriptors().filter((name) => !before.descriptors.includes(name));
    expect(kept.filter((name) => name.includes('memfd'))).toEqual([]);
    expect(descriptors().filter((name) => name.startsWith('socket:')).length).toBeLessThanOrEqual(
      before.descriptors.filter((name) => name.startsWith('socket:')).length + 1,
    );
  });

  for (const bytes of [100_000, 4_194_304]) {
    for (const way of ["'data'", "'data', later", 'onread', 'socket.ring', 'socket.ring, later']) {
      it(`${bytes} bytes it has written arrive by ${way}, and the end after them`, async () => {
        const [peer, port] = await server();
        const receiver = child('receiver-peer', { port, way });
        await receiver.next();
        await settled(peer, 1);
        receiver.say({}); // keeps it busy, so that all of this is there at once
        peer.say({ what: 'send and die', bytes });
        await peer.exit;
        expect(await receiver.next()).toEqual({ received: bytes });
      });
    }
  }

  it('a paused socket keeps what has arrived', async () => {
    const [peer, port] = await server();
    const socket = await dial(port);
    socket.pause();
    await settled(peer, 1);
    peer.say({ what: 'send', bytes: 200_000 });
    await peer.next();
    await kill(peer);
    // Longer than the end of a lost peer's TCP connection is waited for: it has come.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let received = 0;
    socket.on('data', (chunk) => (received += chunk.length));
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.resume();
    await ended;
    expect(received).toBe(200_000);
  });

  it('another one can be met', async () => {
    const [first, port] = await server();
    await dial(port);
    await kill(first);
    const [, again] = await server();
    await close(await dial(again));
  });
});
