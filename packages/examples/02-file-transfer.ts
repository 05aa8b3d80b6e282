// 02-file-transfer.ts - sends a large file (the node binary) with stream.pipeline and gets its SHA-256 back on the
// half-open connection.
//
//   node packages/examples/dist/02-file-transfer.js                            two processes here
//   node packages/examples/dist/02-file-transfer.js server 192.0.2.1 7000      on one host
//   node packages/examples/dist/02-file-transfer.js client 7000 192.0.2.1      on another: by SMC-R where both have it

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { connect, createServer } from '@smcjs/core';
import { twoProcesses } from './support/two-processes.js';

await twoProcesses(import.meta.url, { server, client });

function server(ready: (port: number) => void, address: string, port: number): void {
  // allowHalfOpen: the client's end is the end of the file, and this side still has to answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(hash.digest('hex')));
    server.close();
  });
  server.listen(port, address, () => ready((server.address() as AddressInfo).port));
}

async function client(port: number, host: string): Promise<void> {
  const file = process.execPath;
  const { size } = await stat(file);
  const socket = connect({ port, host, allowHalfOpen: true });
  const hash = createHash('sha256');
  const started = performance.now();
  // pipeline ends the socket after the file; it waits wherever the ring is full.
  await pipeline(
    createReadStream(file, { highWaterMark: 256 * 1024 }),
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk as Buffer);
        yield chunk;
      }
    },
    socket,
  );
  let answer = '';
  for await (const text of socket.setEncoding('utf8')) answer += text as string;
  const seconds = (performance.now() - started) / 1000;

  const expected = hash.digest('hex');
  console.log(`${file}: ${(size / 1e6).toFixed(1)} MB over ${socket.transport} in ${seconds.toFixed(2)} s, both ends hashing`);
  console.log(`SHA-256 sent     ${expected}`);
  console.log(`SHA-256 received ${answer}`);
  if (answer !== expected) throw new Error('the file arrived damaged');
}
