// plain-peer.test.ts - a peer that does not use the library notices nothing: no byte too many, and nobody waits for one.

import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ExchangerArgs } from '../peers/exchanger.js';
import { collect, event, turns } from '../support/events.js';
import { Peer } from '../support/peer.js';

const start = (args: Partial<ExchangerArgs>): Peer =>
  new Peer('exchanger', {
    side: { module: '@smcjs/core', options: {} },
    role: 'server',
    first: 'client',
    length: 10,
    connections: 1,
    port: 0,
    ...args,
  } satisfies ExchangerArgs);

async function connectTo(port: unknown): Promise<net.Socket> {
  const socket = net.connect(port as number, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await event(socket, 'connect');
  return socket;
}

async function plainServer(): Promise<{ server: net.Server; port: number; accepted: Promise<net.Socket> }> {
  const server = net.createServer({ allowHalfOpen: true });
  const accepted = event(server, 'connection').then(([socket]) => {
    onTestFinished(() => void (socket as net.Socket).destroy());
    return socket as net.Socket;
  });
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  onTestFinished(() => void server.close());
  return { server, port: (server.address() as net.AddressInfo).port, accepted };
}

describe('a plain client of our server', () => {
  it("is a 'connection' although its first byte never comes", async () => {
    const peer = start({});
    await connectTo((await peer.message('listening')).port);
    expect((await peer.message('connection')).transport).toBe('tcp');
  });

  it('gets the greeting of a server that speaks first before it sent anything', async () => {
    const peer = start({ first: 'server', length: 32 });
    const socket = await connectTo((await peer.message('listening')).port);
    expect((await collect(socket)).length).toBe(32);
    expect(socket.bytesWritten).toBe(0);
    socket.end();
    expect(await peer.message('exchanged')).toMatchObject({ received: 0, transport: 'tcp' });
  });

  it('may end without having said a word', async () => {
    const peer = start({ first: 'server', length: 1 });
    const socket = await connectTo((await peer.message('listening')).port);
    socket.end();
    expect((await collect(socket)).length).toBe(1);
    expect(await peer.message('exchanged')).toMatchObject({ received: 0 });
    expect(await peer.exit).toEqual({ code: 0, signal: null });
  });

  it('may reset at once', async () => {
    const peer = start({ first: 'client', connections: 2 });
    const { port } = await peer.message('listening');
    (await connectTo(port)).resetAndDestroy();
    expect(await peer.message('exchanged')).toMatchObject({ received: 0 });
    const socket = await connectTo(port);
    socket.end('still here');
    expect((await collect(socket)).length).toBe(10);
    expect(await peer.message('exchanged')).toMatchObject({ received: 10 });
  });

  it('is served while many others say nothing', async () => {
    const peer = start({ connections: 41 });
    const { port } = await peer.message('listening');
    for (let i = 0; i < 40; i++) await connectTo(port);
    const socket = await connectTo(port);
    socket.end('hello');
    expect((await collect(socket)).length).toBe(10);
  });
});

describe('a plain server of our client', () => {
  it('sees a connection without a byte as long as the client writes none', async () => {
    const { port, accepted } = await plainServer();
    start({ role: 'client', first: 'server', port });
    const socket = await accepted;
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    await turns(50);
    expect(received).toEqual([]);
    socket.write('go');
    await event(socket, 'end');
    expect(Buffer.concat(received).length).toBe(10);
    socket.end();
  });

  it('need not send a byte for the client to be connected and to write', async () => {
    const { port, accepted } = await plainServer();
    const peer = start({ role: 'client', first: 'client', length: 5000, port });
    const socket = await accepted;
    expect((await collect(socket)).length).toBe(5000);
    socket.end('answer');
    expect(await peer.message('exchanged')).toMatchObject({ received: 6, transport: 'tcp' });
  });

  it('is met on the port of one of ours that was killed', async () => {
    const killed = start({});
    const { port } = await killed.message('listening');
    killed.kill('SIGKILL');
    await killed.exit;
    const server = net.createServer({ allowHalfOpen: true });
    onTestFinished(() => void server.close());
    server.listen(port as number, '127.0.0.1');
    await event(server, 'listening');
    const accepting = event(server, 'connection');
    const peer = start({ role: 'client', first: 'client', length: 777, port: port as number });
    const [socket] = (await accepting) as [net.Socket];
    expect((await collect(socket)).length).toBe(777);
    socket.end();
    expect(await peer.message('exchanged')).toMatchObject({ received: 0, transport: 'tcp' });
  });
});
