// teller.ts - one process of these tests: listens and connects, asking for the TCP option or not, and tells what it learned.

import { openSync } from 'node:fs';
import net from 'node:net';
import { beforeListen, descriptorOf } from '@smcjs/core/backend';
import { TcpOption } from '@smcjs/smcr/tcp-option';
import { commands, report } from '../peers/lib.js';
import { event, take } from '../support/events.js';

export interface Listen {
  readonly do: 'listen';
  readonly host: string;
  readonly ask: boolean;
}

/** Connects, sends some bytes and reads as many; then stays until told to echo again. */
export interface Connect {
  readonly do: 'connect';
  readonly host: string;
  readonly port: number;
  readonly ask: boolean;
}

/** Sends and reads again over all connections of this process. */
export interface Again {
  readonly do: 'again';
}

/** What goes wrong when one asks too late, or for nothing; and whether it can be opened again. */
export interface Misuse {
  readonly do: 'misuse' | 'reopen';
}

const BYTES = Buffer.from('bytes that are no CLC message at all');

const option = new TcpOption();
const sockets: net.Socket[] = [];

async function listen({ host, ask }: Listen): Promise<void> {
  const server = net.createServer((socket) => {
    report('accepted', { from: socket.remotePort, to: socket.localPort, answer: option.answer(descriptorOf(socket)) });
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  let asked = 'none';
  if (ask) {
    beforeListen(server, (fd) => {
      option.ask(fd);
      asked = option.answer(fd);
    });
  }
  await new Promise<void>((resolve) => void server.listen(0, host, resolve));
  const listening = option.answer(descriptorOf(server as unknown as net.Socket));
  report('listening', { port: (server.address() as net.AddressInfo).port, asked, listening });
}

async function connect({ host, port, ask }: Connect): Promise<void> {
  const family = net.isIPv6(host) ? 6 : 4;
  const fd = ask ? option.socket(family) : undefined;
  if (fd !== undefined) option.ask(fd);
  const socket = fd === undefined ? new net.Socket() : new net.Socket({ fd, manualStart: true } as net.SocketConstructorOpts);
  socket.connect(port, host);
  await event(socket, 'connect');
  sockets.push(socket);
  const same = await echoed(socket);
  report('connected', { local: socket.localPort, remote: socket.remotePort, answer: option.answer(descriptorOf(socket)), same });
}

async function echoed(socket: net.Socket): Promise<boolean> {
  socket.write(BYTES);
  return (await take(socket, BYTES.length)).equals(BYTES);
}

function misuse(): void {
  const code = (act: () => unknown): unknown => {
    try {
      return act();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  const file = openSync('/dev/null', 'r');
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const fd = descriptorOf(server as unknown as net.Socket);
    report('misused', {
      listening: code(() => option.ask(fd)),
      none: code(() => option.ask(99_999)),
      beyond: code(() => option.answer(1_000_000)),
      file: code(() => option.ask(file)),
      unasked: code(() => option.answer(fd)),
    });
    server.close();
  });
}

function reopen(): void {
  try {
    option.reopen();
    report('reopened', { code: 'none' });
  } catch (error) {
    report('reopened', { code: (error as NodeJS.ErrnoException).code });
  }
}

commands<Listen | Connect | Again | Misuse>((command) => {
  if (command.do === 'listen') void listen(command);
  else if (command.do === 'connect') void connect(command);
  else if (command.do === 'misuse') misuse();
  else if (command.do === 'reopen') reopen();
  else void Promise.all(sockets.map(echoed)).then((all) => report('again', { same: all }));
});
report('ready');
