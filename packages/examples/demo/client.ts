// client.ts - the client process of the demonstration: which transport and why, a large file, HTTP.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { connect } from '@smcjs/core';
import type { Ports } from './server.js';
import { clip, heading, table } from './text.js';

const host = '127.0.0.1';

/** Goes through the three steps; the transport that was used goes to the parent. */
export async function visit({ echo, file, web }: Ports): Promise<void> {
  const transport = await showTransport(echo);
  await sendFile(file);
  await useHttp(web);
  process.send?.({ transport });
}

async function showTransport(port: number): Promise<string | undefined> {
  const socket = connect(port, host);
  await once(socket, 'connect');
  heading('1. Which transport two processes of this host agree on');
  table([
    ['transport', 'used', 'refused by', 'reason', ''],
    [String(socket.transport), 'yes', '', '', ''],
    ...socket.declines.map(({ transport, side, reason, detail }) => [transport, 'no', side, reason, clip(detail, 80)]),
  ]);
  if (socket.transport === 'tcp') {
    for (const { transport, hint } of socket.declines) if (hint !== '') console.log(`  to have ${transport}: ${hint}`);
  }
  socket.setEncoding('utf8').write('hello');
  const [answer] = (await once(socket, 'data')) as [string];
  console.log(`  sent 'hello' from process ${process.pid}, the echo is '${answer}'`);
  socket.end();
  return socket.transport;
}

async function sendFile(port: number): Promise<void> {
  const file = process.execPath;
  const { size } = await stat(file);
  const socket = connect({ port, host, allowHalfOpen: true });
  const started = performance.now();
  await pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), socket);
  let there = '';
  for await (const text of socket.setEncoding('utf8')) there += text as string;
  const seconds = (performance.now() - started) / 1000;

  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const here = hash.digest('hex');
  heading('2. A large file through the socket: the node binary itself');
  const megabytes = (size / 1e6).toFixed(1);
  console.log(`  ${file}, ${megabytes} MB, sent and hashed by the far side in ${seconds.toFixed(2)} s over ${socket.transport}`);
  table([
    ['SHA-256 here', here],
    ['SHA-256 there', there],
  ]);
  if (here !== there) throw new Error('the file arrived damaged');
  console.log('  the same');
}

async function useHttp(port: number): Promise<void> {
  heading('3. node:http over it, server and client, one kept-alive connection');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = (options) => connect({ host: String(options.host), port: Number(options.port) });
  const requests = 1000;
  let last = '';
  const started = performance.now();
  for (let i = 0; i < requests; i++) last = await get({ agent, host, port, path: '/' });
  const milliseconds = performance.now() - started;
  agent.destroy();
  console.log(`  GET / -> ${last}`);
  console.log(`  ${requests} requests one after the other: ${((milliseconds / requests) * 1000).toFixed(0)} us each`);
}

function get(options: http.RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(options, (response) => {
      let text = `${response.statusCode}: `;
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}
