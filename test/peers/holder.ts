// holder.ts - a client that opens connections one after the other, keeps and uses them, and lets them go when told; and the
// server for it, which echoes.

import type { AddressInfo, Socket } from 'node:net';
import type { Decline } from '@smcjs/core';
import { args, commands, declinesOf, load, report, type SideArgs, transportOf } from './lib.js';

export interface HolderArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  readonly port: number;
  readonly backlog?: number;
}

export type HolderCommand =
  /** Opens so many, one after the other or all `atOnce`; says what became of each. */
  | { readonly do: 'open'; readonly count: number; readonly atOnce?: boolean }
  /** Sends something on each connection it has; says on how many it came back. */
  | { readonly do: 'use' }
  /** Destroys all but the first so many. */
  | { readonly do: 'keep'; readonly count: number }
  | { readonly do: 'leave' };

const { side, role, port, backlog } = args<HolderArgs>();
const api = await load(side);
const sockets: Socket[] = [];
let connected = 0;

async function open(): Promise<object> {
  const socket = api.connect({ ...side.options, port, host: '127.0.0.1' });
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined)).once('error', resolve);
  });
  if (failure !== undefined) return { failure: failure.code };
  connected++;
  report('connected', { connected });
  socket.on('error', () => {});
  sockets.push(socket);
  const reason = ((declinesOf(socket) ?? []) as Decline[]).find(({ transport }) => transport === 'smcd')?.reason;
  return { transport: transportOf(socket), reason };
}

/** Does what comes back on this connection equal what went? */
function echoes(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('data', (chunk) => resolve(chunk.toString() === 'hello'));
    socket.once('close', () => resolve(false));
    if (socket.destroyed) resolve(false);
    else socket.write('hello');
  });
}

async function act(command: HolderCommand): Promise<void> {
  if (command.do === 'open') {
    const opened: object[] = [];
    if (command.atOnce === true) opened.push(...(await Promise.all(Array.from({ length: command.count }, open))));
    else for (let i = 0; i < command.count; i++) opened.push(await open());
    report('opened', { opened });
  } else if (command.do === 'use') {
    const echoed = await Promise.all(sockets.map(echoes));
    report('used', { connections: echoed.length, echoed: echoed.filter(Boolean).length });
  } else {
    const rest = sockets.splice(command.do === 'keep' ? command.count : 0);
    await Promise.all(rest.map((socket) => new Promise((resolve) => void socket.once('close', resolve).destroy())));
    report('let go', { connections: rest.length });
    if (command.do === 'leave') done();
  }
}

const done = commands<HolderCommand>((command) => void act(command));

if (role === 'server') {
  const server = api.createServer({ ...side.options });
  server.on('connection', (socket) => socket.on('error', () => {}).pipe(socket));
  const listening = () => report('listening', { port: (server.address() as AddressInfo).port });
  server.listen({ port, host: '127.0.0.1', ...(backlog === undefined ? {} : { backlog }) }, listening);
}
