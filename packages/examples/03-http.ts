// 03-http.ts - an HTTP server and client of node:http whose connections are SMC sockets: hand them over, nothing else.
//
//   node packages/examples/dist/03-http.js

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from '@smcjs/core';
import { twoProcesses } from './support/two-processes.js';

await twoProcesses(import.meta.url, { server, client });

function server(ready: (port: number) => void): void {
  const web = http.createServer((request, response) => {
    const { transport } = request.socket as Socket;
    response.setHeader('content-type', 'text/plain');
    response.end(`${request.method} ${request.url} answered by process ${process.pid} over ${transport}`);
  });
  const server = createServer((socket) => {
    web.emit('connection', socket);
    socket.on('close', () => server.close());
  });
  server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
}

async function client(port: number): Promise<void> {
  // An agent that connects with this library. With keepAlive the requests below share one connection.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = ({ host, port }) => connect({ host: String(host), port: Number(port) });
  for (const path of ['/one', '/two', '/three']) {
    const { status, body } = await get({ agent, host: '127.0.0.1', port, path });
    console.log(`${status}: ${body}`);
  }
  agent.destroy();
}

function get(options: http.RequestOptions): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    request.on('error', reject);
  });
}
