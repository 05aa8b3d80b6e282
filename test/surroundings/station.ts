// station.ts - one process of these tests: a server that says who it is and echoes, a client that checks what it gets, or a
// relay between the two.

import type { AddressInfo, ListenOptions, Server, Socket, TcpNetConnectOpts } from 'node:net';
import type { SmcOptions } from '@smcjs/core';
import { args, commands, declinesOf, load, report, type SideArgs, transportOf } from '../peers/lib.js';
import { collect } from '../support/events.js';
import { payload } from '../support/random.js';

export type First = 'client' | 'server';

export interface ServerArgs {
  readonly role: 'server';
  readonly side: SideArgs;
  /** Which side speaks first. The server's first word is its identity. */
  readonly first: First;
  readonly name: string;
  readonly listen: ListenOptions;
}

export interface RelayArgs {
  readonly role: 'relay';
  readonly side: SideArgs;
  readonly port: number;
}

/** Connections started together. */
export interface Dial {
  readonly to: TcpNetConnectOpts & SmcOptions;
  readonly first: First;
  readonly count: number;
  readonly length: number;
  /** One after the other instead, up to and including the first that ends on this transport. */
  readonly until?: string;
}

export interface ClientArgs {
  readonly role: 'client';
  readonly side: SideArgs;
  /** Each starts in the turn in which the last connection of the one before it has connected. */
  readonly dials: readonly Dial[];
}

/** What a connection of a client was. */
export interface Dialed {
  readonly dial: number;
  readonly transport: string;
  readonly remoteAddress: string;
  readonly localPort: number;
  /** Name, address and port of the client, as the process that accepted it saw them. */
  readonly server: string;
  readonly seenAddress: string;
  readonly seenPort: number;
  /** What came back is what was sent and nothing else. */
  readonly exact: boolean;
  readonly failure?: string;
  readonly declines?: readonly { readonly transport: string; readonly side: string; readonly reason: string }[];
}

const own = args<ServerArgs | RelayArgs | ClientArgs>();
const api = await load(own.side);

function answer(socket: Socket, { first, name }: ServerArgs): void {
  const identity = `${name} ${socket.remoteAddress} ${socket.remotePort}\n`;
  report('accepted', { transport: transportOf(socket), declines: declinesOf(socket), clientPort: socket.remotePort });
  let said = first === 'server';
  if (said) socket.write(identity);
  socket.on('error', (error: NodeJS.ErrnoException) => report('failed', { code: error.code }));
  socket.on('data', (bytes) => {
    if (!said) socket.write(identity);
    said = true;
    if (!socket.write(bytes)) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  });
  socket.on('end', () => socket.end());
}

function relay(socket: Socket, { side, port }: RelayArgs): void {
  const onward = api.connect({ ...side.options, port, host: '127.0.0.1', allowHalfOpen: true });
  onward.on('connect', () => report('relayed', { in: transportOf(socket), out: transportOf(onward) }));
  for (const each of [socket, onward]) each.on('error', (error) => report('failed', { code: (error as NodeJS.ErrnoException).code }));
  socket.pipe(onward);
  onward.pipe(socket);
}

function serve(server: Server, listen: ListenOptions): void {
  server.listen(listen, () => report('listening', { port: (server.address() as AddressInfo).port }));
  const done = commands(() => {
    server.close();
    server.once('close', () => report('stopped'));
    done();
  });
}

async function dial(
  to: Dial['to'],
  { first, length }: Dial,
  number: number,
  seed: number,
  connected: (transport: string) => void,
): Promise<void> {
  const socket = api.connect({ ...own.side.options, ...to, allowHalfOpen: true });
  const failures: string[] = [];
  let transport = '';
  let at: Partial<Dialed> = {};
  socket.on('error', (error: NodeJS.ErrnoException) => failures.push(error.code ?? error.message));
  socket.once('connect', () => {
    transport = transportOf(socket);
    at = { localPort: socket.localPort as number, remoteAddress: socket.remoteAddress as string };
    connected(transport);
    if (first === 'client') socket.end(payload(seed, length));
  });
  if (first === 'server') socket.once('data', () => socket.end(payload(seed, length)));
  const closed = new Promise<Buffer>((resolve) => socket.once('close', () => resolve(Buffer.alloc(0))));
  const bytes = await Promise.race([collect(socket), closed]);
  const line = bytes.indexOf('\n');
  const [server = '', seenAddress = '', seenPort = ''] = bytes.subarray(0, Math.max(line, 0)).toString().split(' ');
  const exact = line > 0 && bytes.subarray(line + 1).equals(payload(seed, length));
  const [failure] = failures;
  const told = { dial: number, transport, ...at, server, seenAddress, seenPort: Number(seenPort), exact, declines: declinesOf(socket) };
  report('dialed', { ...told, ...(failure === undefined ? {} : { failure }) });
}

if (own.role === 'server') {
  serve(
    api.createServer({ ...own.side.options, allowHalfOpen: true }).on('connection', (socket) => answer(socket, own)),
    own.listen,
  );
} else if (own.role === 'relay') {
  const server = api.createServer({ ...own.side.options, allowHalfOpen: true });
  serve(
    server.on('connection', (socket) => relay(socket, own)),
    { port: 0, host: '127.0.0.1' },
  );
} else {
  const { dials } = own;
  let seed = 0;
  const start = (number: number): void => {
    const next = dials[number];
    if (next === undefined) return;
    let left = next.count;
    const connected = (transport: string): void => {
      if (next.until !== undefined && transport !== next.until) return void dial(next.to, next, number, seed++, connected);
      if (--left > 0) return;
      report('connected', { dial: number });
      start(number + 1);
    };
    for (let i = 0; i < next.count; i++) void dial(next.to, next, number, seed++, connected);
  };
  start(0);
}
