// endpoint.ts - one end of a connection that a test disturbs: it sends a known stream for as long as it can, or receives
// one, and says what it saw and what it still holds of the kernel's.

import type { AddressInfo, Server, Socket } from 'node:net';
import { payload, Verifier } from '../support/random.js';
import { args, commands, holdings, load, report, type SideArgs, transportOf } from './lib.js';

export interface EndpointArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  /** send: without end; sendAndExit: `bytes`, then process.exit(); receive: verify; stall: connected, reading nothing. */
  readonly task: 'send' | 'sendAndExit' | 'receive' | 'stall';
  readonly seed: number;
  readonly port: number;
  /** For sendAndExit. */
  readonly bytes?: number;
}

/**
 * From the test: say what you hold; go to this port; close the server, and end when its connections are gone; destroy
 * everything, and end.
 */
export type EndpointCommand = { readonly do: 'holdings' | 'close' | 'leave' } | { readonly do: 'dial'; readonly port: number };

const CHUNK = 10_007;
const { side, role, task, seed, port, bytes = 0 } = args<EndpointArgs>();
const api = await load(side);
const sockets = new Set<Socket>();

/** Writes chunk after chunk; says how much has been taken after each callback, before the next write. */
function send(socket: Socket): void {
  let taken = 0;
  const next = (): void => {
    socket.write(payload(seed, CHUNK, taken), (error) => {
      if (error) return;
      taken += CHUNK;
      report('taken', { taken });
      next();
    });
  };
  next();
  socket.resume();
}

function receive(socket: Socket): void {
  const verifier = new Verifier(seed);
  socket.on('data', (chunk) => {
    verifier.take(chunk);
    report('received', { received: verifier.received });
  });
}

function watch(socket: Socket): void {
  sockets.add(socket);
  const seen: string[] = [];
  const transport = transportOf(socket);
  socket.on('end', () => seen.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code ?? error.message));
  socket.on('close', () => {
    sockets.delete(socket);
    report('closed', { seen, transport, received: socket.bytesRead, written: socket.bytesWritten });
  });
  report('connected', { transport });
  if (task === 'send') send(socket);
  else if (task === 'receive') receive(socket);
  else if (task === 'sendAndExit') {
    socket.write(payload(seed, bytes));
    process.exit(0);
  }
}

function dial(to: number): void {
  const socket = api.connect({ ...side.options, port: to, host: '127.0.0.1' });
  socket.once('error', (error) => report('failed', { code: (error as NodeJS.ErrnoException).code }));
  socket.once('connect', () => watch(socket));
}

let server: Server | undefined;
const done = commands<EndpointCommand>((command) => {
  if (command.do === 'holdings') report('holdings', holdings());
  else if (command.do === 'dial') dial(command.port);
  else {
    if (command.do === 'leave') for (const socket of sockets) socket.destroy();
    server?.close();
    done();
  }
});

report('started', holdings());
if (role === 'server') {
  server = api.createServer({ ...side.options });
  server.on('connection', watch);
  server.listen(port, '127.0.0.1', () => report('listening', { port: ((server as Server).address() as AddressInfo).port }));
} else if (port > 0) dial(port);
