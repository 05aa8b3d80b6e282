// victim.ts - plain user code: servers and clients that use what they receive in every usual way, and a timer that tells
// whether the loop is alive.

import http from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { connect, createServer, type SmcOptions } from '@smcjs/core';
import { args, commands, declinesOf, report, transportOf } from '../peers/lib.js';

export interface VictimArgs {
  /** For those who attack, and for the good ones. */
  readonly hostile: SmcOptions;
  readonly good: SmcOptions;
}

export type VictimCommand = { readonly do: 'dial'; readonly port: number } | { readonly do: 'check' };

/** What was seen so far. */
export interface Check {
  readonly worstGap: number;
  readonly open: number;
  /** Chunks that changed after they were delivered. */
  readonly changed: number;
  readonly chunks: number;
  /** Turns of the timer. */
  readonly ticks: number;
}

const { hostile, good } = args<VictimArgs>();
const open = new Set<Socket>();
let worstGap = 0;
let changed = 0;
let chunks = 0;
let ticks = 0;
let last = performance.now();
setInterval(() => {
  ticks++;
  const now = performance.now();
  worstGap = Math.max(worstGap, now - last);
  last = now;
}, 10);

function use(chunk: Buffer): void {
  chunks++;
  const copy = Buffer.from(chunk);
  const text = chunk.toString('utf8');
  new TextDecoder().decode(chunk);
  for (const parse of [() => JSON.parse(text) as unknown, () => gunzipSync(chunk, { maxOutputLength: 1 << 20 })]) {
    try {
      parse();
    } catch {
      // Most of it is nonsense: what counts is that it is nonsense that stays as it is.
    }
  }
  setImmediate(() => {
    if (!copy.equals(chunk)) changed++;
  });
}

function watch(socket: Socket, side: string): void {
  open.add(socket);
  const seen: string[] = [];
  const values = new Set<number>();
  socket.on('data', (chunk: Buffer) => {
    for (const byte of chunk) values.add(byte);
  });
  socket.on('end', () => seen.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code ?? error.message));
  let transport = transportOf(socket);
  socket.on('transport', (name: string) => (transport = name));
  socket.on('close', () => {
    open.delete(socket);
    const declines = declinesOf(socket);
    report('closed', { side, transport, seen, received: socket.bytesRead, declines, values: values.size < 9 ? [...values] : values.size });
  });
}

function serve(socket: Socket): void {
  watch(socket, 'server');
  socket.on('data', (chunk: Buffer) => {
    use(chunk);
    if (socket.writableLength < 1 << 20) socket.write(chunk.subarray(0, 1000));
  });
}

const web = http.createServer((incoming, outgoing) => {
  incoming.on('error', () => {});
  incoming.on('data', use);
  incoming.on('end', () => outgoing.end('answer'));
});

function listening(options: SmcOptions, onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(options as never) as unknown as Server;
  server.on('connection', onConnection);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

commands<VictimCommand>((command) => {
  if (command.do === 'check') return report('check', { worstGap, open: open.size, changed, chunks, ticks } satisfies Check);
  const socket = connect({ ...hostile, port: command.port, host: '127.0.0.1' } as never) as unknown as Socket;
  watch(socket, 'client');
  socket.on('data', use);
  socket.write('from the client');
});

const stream = await listening(hostile, serve);
const pages = await listening(hostile, (socket) => {
  watch(socket, 'http');
  web.emit('connection', socket);
});
const echo = await listening(good, (socket) => socket.pipe(socket));
report('listening', { stream, pages, echo });
