// station.ts - one process of the soak test: it listens, and dials whom it is told to. What went through is said when a
// connection has closed.

import http from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer, type SmcOptions } from '@smcjs/core';
import { args, commands, report } from '../peers/lib.js';
import { decodeHead, HEAD_BYTES, type StationCommand } from './orders.js';
import { acceptRecords, acceptStream, dialRecords, dialStream, request } from './traffic.js';

export interface StationArgs {
  readonly options: SmcOptions;
}

const { options } = args<StationArgs>();

/** The first bytes say which connection it is; what follows them, even in the same turn, belongs to it. */
function onStream(socket: Socket): void {
  const chunks: Buffer[] = [];
  socket.on('error', () => {}); // one that is gone before it has said who it is
  socket.on('data', function onHead(chunk: Buffer): void {
    chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length < HEAD_BYTES) return;
    socket.off('data', onHead);
    acceptStream(socket, decodeHead(bytes.subarray(0, HEAD_BYTES)), bytes.subarray(HEAD_BYTES));
  });
}

function onRecords(socket: Socket): void {
  const { ring } = socket as unknown as import('@smcjs/core').Socket;
  if (ring === undefined) onStream(socket);
  else void acceptRecords(socket, ring, decodeHead);
}

const web = http.createServer((incoming, outgoing) => {
  incoming.on('error', () => {});
  outgoing.on('error', () => {});
  incoming.pipe(outgoing);
});

function listening(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ ...options, allowHalfOpen: true } as never) as unknown as Server;
  server.on('connection', onConnection);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

commands<StationCommand>((command) => {
  if (command.do === 'listen') {
    void listening((socket) => socket.destroy()).then((server) => report('swept', { port: portOf(server) }));
    return;
  }
  const { order, ports } = command;
  const dial = (port: number): Socket =>
    connect({ ...options, port, host: '127.0.0.1', allowHalfOpen: true } as never) as unknown as Socket;
  if (order.kind === 'http') void request(order, () => dial(ports.http));
  else if (order.kind === 'records') {
    const socket = dial(ports.records);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (!connected) report('outcome', { id: order.id, role: 'dialer', transport: 'none', received: 0, seen: [error.code] });
    });
    let connected = false;
    socket.once('connect', () => (connected = true));
    dialRecords(socket, order);
  } else dialStream(dial(ports.stream), order);
});

const listeners = [onStream, onRecords, (socket: Socket) => void web.emit('connection', socket)];
const servers = await Promise.all(listeners.map(listening));
const [stream, records, pages] = servers.map(portOf);
report('listening', { ports: { stream, records, http: pages } });
