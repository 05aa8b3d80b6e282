// hoarder.ts - a client that opens more connections than it may, uses those it got, lets them go and connects once more;
// and the server for it.

import type { AddressInfo, Socket } from 'node:net';
import { args, commands, load, report, type SideArgs, transportOf } from './lib.js';

export interface HoarderArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  readonly port: number;
  readonly connections: number;
}

const { side, role, port, connections } = args<HoarderArgs>();
const api = await load(side);
const closed: Promise<unknown>[] = [];

function open(): Promise<Socket> {
  const socket = api.connect({ ...side.options, port, host: '127.0.0.1' });
  closed.push(new Promise((resolve) => socket.once('close', resolve)));
  return new Promise((resolve, reject) => void socket.once('connect', () => resolve(socket)).on('error', reject));
}

/** Does what comes back on this connection equal what went? Not, when the server had no descriptor for it. */
function echoes(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('data', (chunk) => resolve(chunk.toString() === 'hello'));
    socket.on('error', () => resolve(false)).on('close', () => resolve(false));
    socket.write('hello');
  });
}

async function hoard(): Promise<void> {
  const codes = new Set<string | undefined>();
  const sockets: Socket[] = [];
  for (let i = 0; i < connections; i++) {
    try {
      sockets.push(await open());
    } catch (error) {
      codes.add((error as NodeJS.ErrnoException).code);
    }
  }
  const echoed = await echoes(sockets[0] as Socket);
  report('hoarded', { connected: sockets.length, failed: connections - sockets.length, codes: [...codes], echoed });
  await new Promise<void>((resolve) => {
    const done = commands(() => {
      done();
      resolve();
    });
  });
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  // A server without descriptors is slow to notice that it has some again: until it answers.
  for (;;) {
    const socket = await open();
    const transport = transportOf(socket);
    const echoed = await echoes(socket);
    socket.destroy();
    if (echoed) return report('again', { transport });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

if (role === 'client') await hoard();
else {
  const server = api.createServer({ ...side.options });
  server.on('connection', (socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(port, '127.0.0.1', () => report('listening', { port: (server.address() as AddressInfo).port }));
}
