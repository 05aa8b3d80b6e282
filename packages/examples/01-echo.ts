// 01-echo.ts - an echo server and its client. It is the node:net program everybody knows; only the import differs.
//
//   node packages/examples/dist/01-echo.js

import type { AddressInfo } from 'node:net';
import { connect, createServer } from '@smcjs/core';
import { twoProcesses } from './support/two-processes.js';

await twoProcesses(import.meta.url, { server, client });

function server(ready: (port: number) => void): void {
  const server = createServer((socket) => {
    socket.pipe(socket);
    socket.on('close', () => server.close());
  });
  server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
}

function client(port: number): void {
  const words = ['shared', 'memory', 'communications'];
  const socket = connect(port, '127.0.0.1', () => {
    // The first choice that both ends could use. The others say why not.
    console.log(`connected over ${socket.transport}`);
    for (const { transport, reason, detail } of socket.declines) console.log(`  not ${transport}: ${reason} (${detail})`);
    socket.write(words.shift() as string);
  });
  socket.setEncoding('utf8');
  socket.on('data', (echo) => {
    console.log(`echo: ${echo}`);
    const word = words.shift();
    if (word === undefined) socket.end();
    else socket.write(word);
  });
}
