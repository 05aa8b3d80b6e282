// waits.test.ts - a plain peer costs no wait, whatever lies in the runtime directory and whoever shares the port. A wait
// that must not happen is given the length of the watchdog; one that may happen is short and comes once.

import { linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { connect } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { event, record } from '../support/events.js';
import { commandMissing, forge, nodeWithReusePort, silent, skipFor } from './host.js';
import { accepted, client, dial, dialed, expectExact, reasonOf, serve, step, transports } from './stations.js';

const LONG = 60_000;
const SHORT = 300;
const HOST = '127.0.0.1';
const LATER = 10;

/** Forging needs it. */
const noPython = commandMissing('python3');

const directory = process.env.SMC_RUNTIME_DIR as string;
const netns = (statSync('/proc/self/ns/net').ino >>> 0).toString(16).padStart(8, '0');
const markerOf = (port: number): string => join(directory, `m-${netns}-${process.getuid?.()}-${port.toString().padStart(5, '0')}`);

/** The name that a client of ours leaves for a connection from one port of 127.0.0.1 to another. */
function nameOf(from: number, to: number): string {
  const address = [...Buffer.alloc(10), 0xff, 0xff, 127, 0, 0, 1];
  const tuple = Buffer.from([...address, ...address, to >> 8, to & 255, from >> 8, from & 255]);
  return join(directory, `c-${netns}-${tuple.toString('base64url')}`);
}

/** A port nobody listens on right now. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, HOST);
  await event(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a plain server', () => {
  it('is connected to without a wait where a marker without an owner lies', async () => {
    const { port } = await serve('plain net');
    writeFileSync(markerOf(port), '');
    const all = await dial('ours', [step({ port, host: HOST, discoveryWait: LONG }, { count: LATER })]);
    expectExact(all, LATER);
    expect(reasonOf(all[0])).toBe('no-marker');
  });

  it('is connected to without a wait on the port of one of ours that was killed', async () => {
    const killed = await serve('ours');
    killed.peer.kill('SIGKILL');
    await killed.peer.exit;
    expect(readdirSync(directory)).toContain(markerOf(killed.port).slice(directory.length + 1));
    await serve('plain net', { listen: { port: killed.port, host: HOST } });
    expectExact(await dial('ours', [step({ port: killed.port, host: HOST, discoveryWait: LONG })]), 1);
  });

  it('is connected to without a wait where the marker is no file', async () => {
    const { port } = await serve('plain net');
    mkdirSync(markerOf(port));
    expectExact(await dial('ours', [step({ port, host: HOST, discoveryWait: LONG })]), 1);
  });

  it('costs one wait and no more where somebody forges the marker of a listener', async (context) => {
    context.skip(noPython !== undefined, noPython);
    const { peer, port } = await serve('plain net');
    await forge(markerOf(port));
    const all = await dial('ours', [
      step({ port, host: HOST, discoveryWait: SHORT }),
      step({ port, host: HOST, discoveryWait: LONG }, { count: LATER }),
    ]);
    expectExact(all, 1 + LATER);
    expect(transports(all)).toEqual(['tcp']);
    expect(all.filter((each) => each.dial === 0).map((each) => reasonOf(each))).toEqual(['no-offer']);
    expect((await accepted(peer, 1 + LATER)).length).toBe(1 + LATER);
  });

  it('that speaks first ends the wait with its first byte where a marker is forged', async (context) => {
    context.skip(noPython !== undefined, noPython);
    const { port } = await serve('plain net', { first: 'server' });
    await forge(markerOf(port));
    const all = await dial('ours', [step({ port, host: HOST, discoveryWait: LONG }, { count: LATER, first: 'server' })]);
    expectExact(all, LATER);
    expect(transports(all)).toEqual(['tcp']);
  });
});

describe('a client that waits in vain for a server that speaks first', () => {
  skipFor(noPython);

  it('is connected before it is given a byte, as node:net has it', async () => {
    const { port } = await serve('plain net', { first: 'server' });
    await forge(markerOf(port));
    const socket = connect({ port, host: HOST, discoveryWait: LONG });
    onTestFinished(() => void socket.destroy());
    const seen = record(socket, ['connect', 'data']);
    await Promise.all([event(socket, 'connect'), event(socket, 'data')]);
    expect(seen.map((line) => line.split(' ')[0])).toEqual(['connect', 'data']);
  });
});

describe('a plain client of our server', () => {
  const from = async (localPort: number, port: number) => dial('plain net', [step({ port, host: HOST, localPort }, { first: 'server' })]);
  const options = { discoveryWait: LONG };

  it('waits for nothing where a client that was killed has left the name of its connection', async () => {
    const { peer, port } = await serve('ours', { first: 'server', options });
    const localPort = await freePort();
    writeFileSync(nameOf(localPort, port), '');
    expectExact(await from(localPort, port), 1);
    expect((await accepted(peer, 1))[0]).toMatchObject({ transport: 'tcp' });
  });

  it('waits for nothing where its name leads to a loop of ours that knows nothing of it', async () => {
    const { peer, port } = await serve('ours', { first: 'server', options });
    const other = await serve('ours');
    const [listener] = readdirSync(directory).filter((name) => name.startsWith('l-'));
    const localPort = await freePort();
    linkSync(join(directory, listener as string), nameOf(localPort, port));
    expectExact(await from(localPort, port), 1);
    expect((await accepted(peer, 1))[0]).toMatchObject({ transport: 'tcp' });
    expect(other.peer.running).toBe(true);
  });

  it('waits for nothing where its name leads to a socket of another kind', async () => {
    const { peer, port } = await serve('ours', { first: 'server', options });
    const localPort = await freePort();
    const stream = net.createServer().listen(nameOf(localPort, port));
    onTestFinished(() => void stream.close());
    await event(stream, 'listening');
    expectExact(await from(localPort, port), 1);
    expect((await accepted(peer, 1))[0]).toMatchObject({ transport: 'tcp' });
  });

  it('is served when the wait is over where its name leads to a socket that says nothing', async (context) => {
    context.skip(noPython !== undefined, noPython);
    const { peer, port } = await serve('ours', { first: 'server', options: { discoveryWait: SHORT } });
    const localPort = await freePort();
    await silent(nameOf(localPort, port));
    expectExact(await from(localPort, port), 1);
    const [seen] = await accepted(peer, 1);
    expect(seen).toMatchObject({ transport: 'tcp' });
    expect(reasonOf(seen)).toBe('timeout');
  });
});

const reusing = nodeWithReusePort();

describe('a plain listener that shares the port with ours', () => {
  skipFor(reusing === undefined ? 'reusePort needs Node 24 or newer' : undefined);

  const where = { execPath: reusing as string };
  const reusePort = (port: number): net.ListenOptions => Object.assign({ host: HOST, port }, { reusePort: true });
  const both = async (first: 'client' | 'server') => {
    const ours = await serve('ours', { first, name: 'ours', listen: reusePort(0), where });
    await serve('plain net', { first, name: 'plain', listen: reusePort(ours.port), where });
    return ours.port;
  };

  it('keeps nobody waiting when it speaks first, and each connection is what its listener makes of it', async () => {
    const to = { port: await both('server'), host: HOST, discoveryWait: LONG };
    const all = await dial('ours', [step(to, { count: 60, first: 'server' })]);
    expectExact(all, 60);
    expect([...new Set(all.map(({ server, transport }) => `${server} ${transport}`))].sort()).toEqual(['ours smcd', 'plain tcp']);
    expect(all.filter(({ localPort, seenPort }) => localPort !== seenPort)).toEqual([]);
  });

  it('costs one wait and no more when the client speaks first', async () => {
    const port = await both('client');
    // Connections that ours accepts are over shared memory, until one that it does not accept has waited in vain.
    const first = step({ port, host: HOST, discoveryWait: SHORT }, { until: 'tcp' });
    const all = await dial('ours', [first, step({ port, host: HOST, discoveryWait: LONG }, { count: LATER })]);
    expectExact(all, all.length);
    expect(all.filter(({ server, transport }) => server === 'plain' && transport !== 'tcp')).toEqual([]);
    expect(all.filter((each) => each.dial === 1).map(({ transport }) => transport)).toEqual(Array(LATER).fill('tcp'));
  });
});

describe('a stopped server of ours', () => {
  for (const first of ['client', 'server'] as const) {
    it(`costs one wait and no more where the ${first} speaks first, and gets every byte when it goes on`, async () => {
      const { peer, port } = await serve('ours', { first, options: { discoveryWait: LONG } });
      peer.kill('SIGSTOP');
      const dialing = client('ours', [
        step({ port, host: HOST, discoveryWait: SHORT }, { first }),
        step({ port, host: HOST, discoveryWait: LONG }, { first, count: LATER }),
      ]);
      // Both steps connect while nobody can accept.
      await dialing.message('connected');
      await dialing.message('connected');
      peer.kill('SIGCONT');
      const all = await dialed(dialing);
      expectExact(all, 1 + LATER);
      expect(transports(all)).toEqual(['tcp']);
      expect((await accepted(peer, 1 + LATER)).map(({ transport }) => transport)).toEqual(Array(1 + LATER).fill('tcp'));
    });
  }
});
