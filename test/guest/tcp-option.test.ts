// tcp-option.test.ts - the TCP option and the kernel's own SMC: each sees the other's, in both roles. A kernel that has seen it
// speaks CLC, and its counters tell how that ended: here with our Decline (0x05000000), after which both go on over TCP. One that
// has not seen it counts "peer does not support SMC" (0x03010000).

import { execFileSync, spawn } from 'node:child_process';
import net from 'node:net';
import { join } from 'node:path';
import { beforeListen, CLC_OS, ClcReader, descriptorOf, encode } from '@smcjs/core/backend';
import { remove, setup, TcpOption } from '@smcjs/smcr/tcp-option';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { commandMissing } from '../surroundings/host.js';
import { event, take } from '../support/events.js';
import { addUeid, KernelPeer, smcFallbacks } from './kernel-smc.js';

const UEID = 'SMCJS-TEST-EID';
const PEER_DECLINED = '0x05000000';
const NOT_SMC = '0x03010000';

/** How often the kernel fell back for this reason so far. */
const fallbacks = (role: string, reason: string) =>
  smcFallbacks()
    .filter((one) => one.role === role && one.reason === reason)
    .reduce((sum, { count }) => sum + count, 0);

const DECLINE = encode({
  ...{ type: 'decline', path: 'smcr', version: 2, peerId: new Uint8Array(8), diagnosis: 0x03030000 },
  ...{ outOfSync: false, os: CLC_OS.linux },
});

describe('the TCP option and the kernel', () => {
  let option: TcpOption;

  beforeAll(() => {
    addUeid(UEID);
    // All of the guest: the top of its cgroups.
    setup();
    option = new TcpOption();
  });

  afterAll(() => {
    option.close();
    expect(remove()).toBe(true);
  });

  async function connected(port: number, ask: boolean): Promise<net.Socket> {
    const fd = ask ? option.socket(4) : undefined;
    if (fd !== undefined) option.ask(fd);
    const socket = fd === undefined ? new net.Socket() : new net.Socket({ fd, manualStart: true } as net.SocketConstructorOpts);
    onTestFinished(() => void socket.destroy());
    socket.connect(port, '127.0.0.1');
    await event(socket, 'connect');
    return socket;
  }

  it('a kernel listener sees ours, and answers with its own', async () => {
    const server = new KernelPeer('echo');
    const { port } = await server.line();
    const before = { declined: fallbacks('server', PEER_DECLINED), plain: fallbacks('server', NOT_SMC) };
    const socket = await connected(port as number, true);
    expect(option.answer(descriptorOf(socket))).toBe('agreed');
    socket.write(DECLINE);
    socket.write('after the Decline');
    expect((await take(socket, 17)).toString()).toBe('after the Decline');
    expect(fallbacks('server', PEER_DECLINED)).toBe(before.declined + 1);
    expect(fallbacks('server', NOT_SMC)).toBe(before.plain);
  });

  it('a kernel client sees the answer of our listener and proposes', async () => {
    const server = net.createServer();
    beforeListen(server, (fd) => option.ask(fd));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const accepted = event(server, 'connection');
    const before = fallbacks('client', PEER_DECLINED);
    const client = new KernelPeer('client', String((server.address() as net.AddressInfo).port), '1000');
    const [socket] = (await accepted) as [net.Socket];
    expect(option.answer(descriptorOf(socket))).toBe('agreed');
    const reader = new ClcReader();
    let message = reader.next();
    for (; message === undefined; message = reader.next()) reader.push(await take(socket, 1));
    expect(message).toMatchObject({ type: 'proposal' });
    socket.write(DECLINE);
    socket.pipe(socket);
    expect(await client.line()).toMatchObject({ received: 1000, same: true });
    expect(fallbacks('client', PEER_DECLINED)).toBe(before + 1);
  });

  it('a plain listener and a plain client of the same process are plain to the kernel', async () => {
    const server = net.createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const before = { client: fallbacks('client', NOT_SMC), server: fallbacks('server', NOT_SMC) };
    const client = new KernelPeer('client', String((server.address() as net.AddressInfo).port), '1000');
    expect(await client.line()).toMatchObject({ received: 1000, same: true });
    expect(fallbacks('client', NOT_SMC)).toBe(before.client + 1);
    const { port } = await new KernelPeer('echo').line();
    const socket = await connected(port as number, false);
    expect(option.answer(descriptorOf(socket))).toBe('none');
    socket.write('no Decline before this');
    expect((await take(socket, 22)).toString()).toBe('no Decline before this');
    expect(fallbacks('server', NOT_SMC)).toBe(before.server + 1);
  });

  it("curl beside us gets its page from a server on the kernel's SMC while we ask", async (context) => {
    const missing = commandMissing('curl');
    context.skip(missing !== undefined, missing);
    const child = spawn('/usr/bin/python3', [join(import.meta.dirname, 'kernel/smc_http.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = await event(child.stdout, 'data');
    const { port } = JSON.parse(String(line)) as { port: number };
    const before = { declined: fallbacks('server', PEER_DECLINED), plain: fallbacks('server', NOT_SMC) };
    for (let i = 0; i < 3; i++) {
      const socket = await connected(port, true);
      expect(option.answer(descriptorOf(socket))).toBe('agreed');
      socket.write(DECLINE);
      expect(execFileSync('curl', ['-sS', `http://127.0.0.1:${port}/`], { encoding: 'utf8' })).toBe('from a server on SMC\n');
      socket.write('GET / HTTP/1.0\r\n\r\n');
      expect((await take(socket, 12)).toString()).toBe('HTTP/1.0 200');
    }
    expect(fallbacks('server', NOT_SMC)).toBe(before.plain + 3);
    expect(fallbacks('server', PEER_DECLINED)).toBe(before.declined + 3);
  });
});
