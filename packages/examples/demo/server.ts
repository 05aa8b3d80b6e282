// server.ts - the server process of the demonstration: an echo, a receiver of files, a web server. All of them are
// ordinary programs for node:net and node:http whose sockets come from @smcjs/core.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { createServer, type Socket } from '@smcjs/core';

/** The ports the client needs; sent to the parent, which hands them on. */
export interface Ports {
  readonly echo: number;
  readonly file: number;
  readonly web: number;
}

/** Serves until the parent disconnects. */
export async function serve(): Promise<void> {
  process.once('disconnect', () => process.exit());
  const ports: Ports = { echo: await listen(echoServer()), file: await listen(fileServer()), web: await listen(webServer()) };
  process.send?.(ports);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const echoServer = (): Server => createServer((socket) => socket.pipe(socket));

/** Takes a file and answers with its SHA-256. */
function fileServer(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(hash.digest('hex')));
  });
}

/** node:http, given the sockets of another server: all it needs is the event. */
function webServer(): Server {
  const web = http.createServer((request, response) => {
    const { transport } = request.socket as Socket;
    response.end(`process ${process.pid} says hello over ${transport}`);
  });
  return createServer((socket) => web.emit('connection', socket));
}
